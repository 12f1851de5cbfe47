// Where ATC is looked for, and what is said where it is not ready.
#include "atc/finder.h"

#include <gtest/gtest.h>

#include "atc/fake_atc.h"
#include "base/error.h"

namespace inkstone {
namespace {

Surroundings around(const TestFolder& root, std::map<std::string, std::string> variables) {
  return {[variables = std::move(variables)](Variable variable) -> std::optional<std::string> {
            const auto found = variables.find(name_of(variable));
            return found == variables.end() ? std::nullopt : std::optional(found->second);
          },
          root.path()};
}

TEST(FindAtc, looks_where_people_have_it) {
  const TestFolder root;
  const auto place = [&](const std::string& name) { return root.write(name + "/atc", "#!/bin/sh\n", true); };
  // From last to first, so that each is found though the later ones are there.
  const std::string at = root.path().string();
  const std::map<std::string, std::string> variables{{"HOME", at + "/home"},
                                                     {"ASCEND_HOME_PATH", at + "/ascend_home"},
                                                     {"ASCEND_TOOLKIT_HOME", at + "/toolkit"},
                                                     {"PATH", at + "/nothing:" + at + "/path"}};
  for (const char* folder :
       {"home/Ascend/ascend-toolkit/latest/bin", "usr/local/Ascend/ascend-toolkit/latest/compiler/bin",
        "usr/local/Ascend/ascend-toolkit/latest/bin", "usr/local/Ascend/cann/bin", "ascend_home/bin", "toolkit/bin",
        "path"}) {
    const std::filesystem::path program = place(folder);
    const AtcSearch search = find_atc(around(root, variables));
    ASSERT_TRUE(search.tool) << folder;
    EXPECT_EQ(search.tool->program, program);
  }
  const std::filesystem::path stated = place("mine");
  auto with_stated = variables;
  with_stated["INKSTONE_ATC"] = stated.string();
  EXPECT_EQ(find_atc(around(root, with_stated)).tool->program, stated);
  with_stated["INKSTONE_ATC"] = at + "/none";
  EXPECT_THROW(find_atc(around(root, with_stated)), Error);
}

TEST(FindAtc, a_relative_folder_is_not_looked_into) {
  const TestFolder root;
  const std::filesystem::path had = std::filesystem::current_path();
  root.write("Ascend/cann/bin/atc", "#!/bin/sh\n", true);
  root.write("bin/atc", "#!/bin/sh\n", true);
  std::filesystem::current_path(root.path());
  for (const char* name : {"HOME", "ASCEND_HOME_PATH", "ASCEND_TOOLKIT_HOME"})
    EXPECT_FALSE(find_atc(around(root, {{name, "."}})).tool) << name;
  std::filesystem::current_path(had);
}

TEST(FindAtc, where_it_is_not_the_places_and_the_way_are_said) {
  const TestFolder root;
  const AtcSearch search = find_atc(nothing_around(root));
  EXPECT_FALSE(search.tool);
  for (const char* part : {"$PATH", "/usr/local/Ascend", "hiascend.com", "INKSTONE_ATC"})
    EXPECT_NE(search.advice().find(part), std::string::npos) << search.advice();
}

TEST(FindAtc, an_environment_that_is_not_set_is_seen) {
  const TestFolder root;
  root.write("usr/local/Ascend/ascend-toolkit/latest/bin/atc", "#!/bin/sh\n", true);
  const std::string script = root.write("usr/local/Ascend/ascend-toolkit/set_env.sh", "").string();
  EXPECT_EQ(find_atc(around(root, {})).tool->set_env, script);
  EXPECT_EQ(find_atc(around(root, {{"ASCEND_OPP_PATH", "/opp"}})).tool->set_env, "");
}

TEST(FindAtc, cann_is_told_by_the_toolkits_files) {
  const struct {
    const char *program, *file, *text, *version;
  } rows[] = {
      {"a/bin/atc", "a/version.cfg", "# version: 1.0\ntoolkit_running_version=[7.7.0.1.238:8.1.RC1]\n", "8.1.RC1"},
      {"b/compiler/bin/atc", "b/version.cfg", "runtime_running_version=[7.3.0.1.231:8.0.RC2]\n", "8.0.RC2"},
      {"c/bin/atc", "c/aarch64-linux/ascend_toolkit_install.info", "package_name=x\nversion=8.2.RC1\r\narch=x\n",
       "8.2.RC1"},
      {"ascend-toolkit/8.0.0/bin/atc", "ascend-toolkit/8.0.0/version.cfg", "nonsense=[", "8.0.0"},
      {"cann-9.0.0/bin/atc", "none", "", "9.0.0"},
      {"d/bin/atc", "none", "", ""}};
  for (const auto& row : rows) {
    const TestFolder root;
    const auto program = root.write(row.program, "#!/bin/sh\n", true);
    root.write(row.file, row.text);
    const AtcTool tool = *find_atc(around(root, {{"INKSTONE_ATC", program.string()}})).tool;
    EXPECT_EQ(tool.cann, row.version) << row.program;
    EXPECT_FALSE(tool.stamp().empty());
  }
}

TEST(FindAtc, a_machine_without_a_driver_gets_the_stand_in) {
  const TestFolder root;
  const auto program = root.write("t/bin/atc", "#!/bin/sh\n", true);
  for (const char* machine : {"x86_64", "aarch64"})
    root.write(std::string("t/") + machine + "-linux/devlib/libascend_hal.so", "");
  const auto ours = around(root, {{"INKSTONE_ATC", program.string()}, {"LD_LIBRARY_PATH", "/a"}});
  const AtcTool tool = *find_atc(ours).tool;
  ASSERT_EQ(tool.environment.size(), 1u);
  EXPECT_TRUE(tool.environment[0].starts_with("LD_LIBRARY_PATH=/a:" + root.path().string())) << tool.environment[0];
  root.write("usr/local/Ascend/driver/lib64/x", "");
  EXPECT_TRUE(find_atc(ours).tool->environment.empty());
}

}  // namespace
}  // namespace inkstone
