// ATC's own words, and what they are answered with.
#include "atc/explain.h"

#include <gtest/gtest.h>

namespace inkstone {
namespace {

constexpr const char* kFailed =
    "ATC start working now, please wait for a moment.\n.........\n"
    "ATC run failed, Please check the detail log, Try 'atc --help' for more information\n";

TEST(AtcExplanation, known_codes_are_answered) {
  const struct {
    const char *text, *code, *advice;
  } rows[] = {
      {"E10001: [PID: 7] 2025-06-16-13:02:36.801.136 Value [mixed_precision] for parameter [--precision_mode] is "
       "invalid. Reason: The "
       "current value is not within the valid range.",
       "E10001", "the line says which"},
      {"E10002: Value [a:1] for parameter --input_shape is invalid. It must be formatted as \"n:1,2\"", "E10002",
       "export the model again"},
      {"E10007: [--soc_version] is required. ", "E10007", "a flag"},
      {"E10009: --dynamic_batch_size, --dynamic_image_size, --input_shape_range, and --dynamic_dims are mutually "
       "exclusive.",
       "E10009", "one kind of gears"},
      {"E10016: Op name [Norm_1] specified in --keep_dtype is not found in the model", "E10016", "keep fp32"},
      {"E10035: gears", "E10035", "without gears"},
      {"E10046: gears", "E10046", "without gears"},
      {"E10501: IR for Op [a, optype [B]], is not registered.", "E10501", "ASCEND_OPP_PATH"},
      {"E13023: Model [partition] has a size of 5 bytes, which exceeds system limit of 4294967295 bytes.", "E13023",
       "4 GiB"},
      {"E16002: No ONNX parser is registered for optype [ai.onnx::19::Resize].", "E16002", "--opset 17"},
      {"E16005: The model has 2 [domain_version] fields, but only one is allowed.", "E16005", "opset twice"},
      {"E20001: [PID: 200452] 2025-06-16-13:02:36.801.136 Failed to compile Op [/model/Slice]. (optype: "
       "[StridedSliceD])",
       "E20001", "report"},
      {"E40002: Unsupported Python version", "E40002", "python3"},
      {"E40020: Failed to import Python module [te.platform].", "E40020", "pip3 install"},
      {"E40021: Failed to compile Op [[a]]. (oppath: [x], optype: [Conv2D])", "E40021", "plog says why"},
      {"E40023: The path [/usr/bin] (ge.debugDir) is not writable", "E40023", "--out"},
      {"E40024: Failed to call Python Func/Meathod [set_cur_context].", "E40024", "pip3 install"},
      {"E89999: Inner Error!\n        op[Add_718], The Add op dtype is not same, type1:DT_INT64, type2:DT_INT32",
       "E89999", "differ in type"},
      {"EZ3003: No supported Ops kernel and engine are found for [Resize_12], optype [Resize].", "EZ3003", "310P"},
      {"EZ9903: [PID: 3] support for Ascend910 is not implemented", "EZ9903", "first generation"},
      {"E19999: Inner Error!\n        The opset of domain[x] has no responding version", "E19999",
       "opset or a domain"}};
  for (const auto& row : rows) {
    const AtcExplanation explanation = explain_atc(std::string(kFailed) + row.text + "\n");
    EXPECT_EQ(explanation.code, row.code);
    EXPECT_NE(explanation.advice.find(row.advice), std::string::npos) << row.code << ": " << explanation.advice;
    ASSERT_FALSE(explanation.quoted.empty());
    EXPECT_TRUE(explanation.quoted[0].starts_with(row.code)) << explanation.quoted[0];
    EXPECT_NE(explanation.text().find("plog"), std::string::npos);
    EXPECT_EQ(explanation.text().find('\n'), std::string::npos);
  }
}

TEST(AtcExplanation, the_cause_stands_before_what_followed_from_it) {
  const AtcExplanation explanation = explain_atc(std::string(kFailed) +
                                                 "E19999: Inner Error!\n"
                                                 "        TraceBack (most recent call last):\n"
                                                 "E40021: Failed to compile Op [a].\n"
                                                 "E40020: [PID: 3] Failed to import Python module [decorator].\n"
                                                 "        Solution: install it.\n"
                                                 "        TraceBack (most recent call last):\n        deep");
  EXPECT_EQ(explanation.code, "E40020");
  ASSERT_EQ(explanation.quoted.size(), 2u);
  EXPECT_EQ(explanation.quoted[1], "Solution: install it.");
}

TEST(AtcExplanation, failures_without_a_code_are_known_too) {
  const std::pair<const char*, const char*> rows[] = {
      {"/opt/atc.bin: error while loading shared libraries: libge_compiler.so: cannot open shared object file",
       "set_env.sh"},
      {"libascend_hal.so: cannot open shared object file", "devlib"},
      {"ModuleNotFoundError: No module named 'sympy'", "pip3 install"},
      {"cp: No space left on device", "disk is full"},
      {"Killed", "memory ran out"},
      {"something else", "no error code"},
      {"", "no error code"}};
  for (const auto& [text, advice] : rows) {
    const AtcExplanation explanation = explain_atc(text);
    EXPECT_EQ(explanation.code, "");
    EXPECT_NE(explanation.advice.find(advice), std::string::npos) << text << ": " << explanation.advice;
  }
}

TEST(AtcExplanation, a_signal_that_ended_it_is_said_with_the_likely_reason) {
  const struct {
    const char* text;
    int code;
    const char* advice;
  } rows[] = {{"", 137, "it was killed (signal 9), most likely because memory ran out: set TE_PARALLEL_COMPILER=1"},
              {kFailed, 137, "it was killed (signal 9)"},
              {"", 139, "signal 11 ended it"},
              {"Cannot allocate memory", 134, "memory ran out: set"},
              {"E40021: Failed to compile Op [a].", 137, "it was killed (signal 9)"},
              {"E10001: no such chip", 137, "the line says which"},
              {"", 1, "no error code"},
              {"", 255, "no error code"}};
  for (const auto& row : rows) {
    const AtcExplanation explanation = explain_atc(row.text, row.code);
    EXPECT_NE(explanation.advice.find(row.advice), std::string::npos) << row.code << ": " << explanation.advice;
  }
}

TEST(AtcExplanation, an_unknown_code_is_quoted) {
  const AtcExplanation explanation = explain_atc("EQ1234: what\n");
  EXPECT_EQ(explanation.code, "EQ1234");
  EXPECT_EQ(explanation.quoted[0], "EQ1234: what");
}

TEST(AtcExplanation, words_that_look_like_codes_are_none) {
  for (const char* text : {"E1000", "E100012", "xE10001", "e10001", "EE-1001", "CORE10001", "E10001_x"})
    EXPECT_EQ(explain_atc(text).code, "") << text;
}

TEST(AtcExplanation, quotes_are_bounded) {
  std::string text;
  for (int i = 0; i < 1000; ++i) text += std::string(5000, 'x') + "\n";
  EXPECT_LT(explain_atc(text).text().size(), 3000u);
  EXPECT_LT(explain_atc("E10001: " + text).text().size(), 3000u);
}

TEST(AtcWarnings, each_is_told_once) {
  const std::vector<std::string> warnings = atc_warnings(
      "W11001: Op [Cast_1] does not hit the high-priority operator information library, which might result in "
      "compromised performance.\n"
      "W11001: Op [Cast_1] does not hit the high-priority operator information library, which might result in "
      "compromised performance.\n"
      "E10001: no warning\n");
  ASSERT_EQ(warnings.size(), 1u);
  EXPECT_NE(warnings[0].find("AI CPU"), std::string::npos);
}

}  // namespace
}  // namespace inkstone
