// What a user is told: of AscendCL that is absent, incomplete or for compiling only, and of calls
// that fail.
#include <gmock/gmock.h>

#include "backend/ascend/errors.h"
#include "backend/ascend/library.h"
#include "backend/ascend/om_check.h"
#include "backend/ascend_folder.h"

namespace inkstone::ascend {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

std::string text_of(const std::function<void()>& what) {
  try {
    what();
  } catch (const Error& error) {
    return error.what();
  }
  return "nothing was thrown";
}

TEST(AscendLibrary, is_looked_for_where_set_env_and_the_installer_put_it) {
  const Environment own("INKSTONE_ASCENDCL", nullptr), toolkit("ASCEND_TOOLKIT_HOME", "/t"),
      home("ASCEND_HOME_PATH", "/h"), user("HOME", "/u");
  EXPECT_THAT(library_candidates(),
              ElementsAre("libascendcl.so", "/t/lib64/libascendcl.so", "/h/lib64/libascendcl.so",
                          "/usr/local/Ascend/cann/lib64/libascendcl.so",
                          "/usr/local/Ascend/ascend-toolkit/latest/lib64/libascendcl.so",
                          "/usr/local/Ascend/nnrt/latest/lib64/libascendcl.so", "/u/Ascend/cann/lib64/libascendcl.so",
                          "/u/Ascend/ascend-toolkit/latest/lib64/libascendcl.so",
                          "/u/Ascend/nnrt/latest/lib64/libascendcl.so"));
}

TEST(AscendLibrary, is_not_looked_for_below_a_relative_folder) {
  const Environment own("INKSTONE_ASCENDCL", nullptr), toolkit("ASCEND_TOOLKIT_HOME", "."),
      home("ASCEND_HOME_PATH", "cann"), user("HOME", ".");
  for (const std::string& path : library_candidates())
    EXPECT_TRUE(path.starts_with("/usr/local/") || path == "libascendcl.so") << path;
}

TEST(AscendLibrary, absent_the_device_says_what_is_missing_and_how_to_get_it) {
  const Environment own("INKSTONE_ASCENDCL", "/nowhere/libascendcl.so");
  for (const char* device : {"npu", "npu:0", "npu:7"})
    EXPECT_THAT(text_of([&] { open_backend(device); }),
                AllOf(HasSubstr("no AscendCL on this machine"), HasSubstr("/nowhere/libascendcl.so"),
                      HasSubstr("install CANN"), HasSubstr("set_env.sh"), HasSubstr("/usr/local/Ascend/driver")));
}

TEST(AscendLibrary, a_library_that_cannot_be_loaded_is_told_from_one_that_is_absent) {
  const AscendFolder folder;
  const std::string path = (folder.path / "libascendcl.so").string();
  std::ofstream(path) << "this is not a library";
  const Environment own("INKSTONE_ASCENDCL", path.c_str()), opp("ASCEND_OPP_PATH", nullptr);
  EXPECT_THAT(text_of([] { open_library(); }),
              AllOf(HasSubstr("AscendCL cannot be opened"), HasSubstr(path), HasSubstr("ASCEND_OPP_PATH is unset")));
}

TEST(AscendLibrary, an_incomplete_one_is_refused_with_what_it_lacks) {
  const Environment own("INKSTONE_ASCENDCL", EMPTY_ACL);
  EXPECT_THAT(text_of([] { open_library(); }), AllOf(HasSubstr("AscendCL is incomplete"), HasSubstr("aclFinalize"),
                                                     HasSubstr("more"), Not(HasSubstr("aclInit,"))));
}

TEST(AscendLibrary, the_whole_one_is_bound_and_the_tracer_is_kept_from_our_signals) {
  const Environment own("INKSTONE_ASCENDCL", FAKE_ACL), signal("ASCEND_COREDUMP_SIGNAL", nullptr);
  const Library library = open_library();
  EXPECT_EQ(library.path, FAKE_ACL);
  EXPECT_TRUE(library.api.aclmdlExecuteAsync);
  EXPECT_FALSE(library.api.aclmdlGetTensorRealName) << "optional, and not there";
  EXPECT_STREQ(std::getenv("ASCEND_COREDUMP_SIGNAL"), "none");
}

TEST(AscendErrors, each_code_has_a_name_and_an_outcome) {
  struct Row {
    Code code;
    const char* name;
    Outcome outcome;
  };
  for (const auto& [code, name, outcome] :
       std::initializer_list<Row>{{107002, "ACL_ERROR_RT_CONTEXT_NULL", Outcome::kRefused},
                                  {207001, "ACL_ERROR_RT_MEMORY_ALLOCATION", Outcome::kOutOfMemory},
                                  {245000, "ACL_ERROR_GE_MEMORY_ALLOCATION", Outcome::kOutOfMemory},
                                  {245002, "ACL_ERROR_GE_DEVICE_MEMORY_ALLOCATION_FAILED", Outcome::kOutOfMemory},
                                  {507010, "ACL_ERROR_RT_LOST_HEARTBEAT", Outcome::kLost},
                                  {507011, "ACL_ERROR_RT_MODEL_EXECUTE", Outcome::kRefused},
                                  {507014, "ACL_ERROR_RT_AICORE_TIMEOUT", Outcome::kLost},
                                  {507015, "ACL_ERROR_RT_AICORE_EXCEPTION", Outcome::kLost},
                                  {507018, "ACL_ERROR_RT_AICPU_EXCEPTION", Outcome::kLost},
                                  {507046, "ACL_ERROR_RT_STREAM_SYNC_TIMEOUT", Outcome::kLost},
                                  {507054, "ACL_ERROR_RT_HBM_MULTI_BIT_ECC_ERROR", Outcome::kLost},
                                  {545001, "ACL_ERROR_GE_LOAD_MODEL", Outcome::kRefused},
                                  {424242, "(a code without a published name)", Outcome::kRefused}}) {
    EXPECT_EQ(name_of_code(code), name);
    EXPECT_EQ(outcome_of(code), outcome) << name;
  }
}

TEST(AscendErrors, an_error_says_all_that_is_known_on_one_line) {
  const AclError error(
      {"aclmdlLoadFromFileWithMem", 545001, "E10001: bad\n\tthing\n", "npu:0", "Ascend910B4", "8.1.RC1", "/m/unet.om"},
      "");
  EXPECT_EQ(
      std::string(error.what()),
      "npu:0: aclmdlLoadFromFileWithMem failed with 545001 ACL_ERROR_GE_LOAD_MODEL, file /m/unet.om, chip Ascend910B4, "
      "CANN 8.1.RC1; CANN says: E10001: bad thing; the file is damaged, incomplete or of a newer CANN than this "
      "machine's: compile it again (inkstone export)");
  EXPECT_FALSE(error.device_lost());
}

TEST(AscendErrors, what_to_do_follows_the_code_and_what_cann_says) {
  EXPECT_THAT(advice_for(100039, "", ""), HasSubstr("stub library"));
  EXPECT_THAT(advice_for(107003, "", ""), HasSubstr("mistake of Inkstone's"));
  EXPECT_THAT(advice_for(507046, "", ""), HasSubstr("INKSTONE_STEP_TIMEOUT"));
  EXPECT_THAT(advice_for(545001, "E10001: soc_version is invalid", "Ascend910B4(simulated)"),
              HasSubstr("--soc Ascend910B4"));
  EXPECT_THAT(advice_for(500002, "EL0004: Failed to allocate memory.", ""), HasSubstr("not enough device memory"));
  EXPECT_THAT(AclError({"aclX", 1343242270, "", "", "", "", ""}, "").what(), HasSubstr("1343242270 (0x5010401E)"));
}

TEST(AscendErrors, versions_of_cann_are_ordered) {
  const char* rising[] = {"7.0.0",   "8.0.RC3.alpha001", "8.0.RC3", "8.0.0.beta1", "8.0.0",
                          "8.1.RC1", "8.1.RC2",          "8.1.0",   "8.5.0",       "9.0.0",
                          "10.0.RC1"};
  for (size_t i = 0; i < std::size(rising); ++i)
    for (size_t j = 0; j < std::size(rising); ++j)
      EXPECT_EQ(compare_cann(rising[i], rising[j]), i < j ? -1 : i > j) << rising[i] << " and " << rising[j];
  EXPECT_EQ(compare_cann("8.1.RC1-simulated", "8.1.RC1"), 0);
  EXPECT_EQ(compare_cann("8.1.RC1(simulated)", "8.1.RC1"), 0);
}

}  // namespace
}  // namespace inkstone::ascend
