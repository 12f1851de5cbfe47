// The whole of compiling with a stand-in for ATC: what is made, what is spared, what is left when
// it cannot be.
#include "atc/compiler.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "atc/fake_atc.h"
#include "atc/om_file.h"
#include "atc/script.h"
#include "base/error.h"

namespace inkstone {
namespace {

namespace fs = std::filesystem;

class Compiling : public testing::Test {
 protected:
  Compiling() {
    manifest = {"0.1.0", "demo", "fp16", 17, {}, {}};
    folder.write("unet.bin", "weights");
    manifest.weights = {record_of(folder / "unet.bin")};
    for (const char* name : {"unet_step_64x64_b1", "unet_time"}) {
      GraphRecord graph = step_record();
      graph.name = name;
      if (std::string(name) == "unet_time") graph.part = "time";
      graph.onnx = record_of(folder.write(std::string(name) + ".onnx", std::string("onnx of ") + name));
      graph.fp32_nodes = {"Norm_1"};
      manifest.graphs.push_back(graph);
    }
    options.soc = "Ascend910B4";
    options.cache = cache.path();
    options.around = atc.around();
    progress.say = [this](const std::string& line) { said += line + "\n"; };
  }
  CompileSummary compile() { return compile_for_ascend(manifest, folder.path(), options, progress); }
  std::string failure() {
    try {
      compile();
    } catch (const Error& error) {
      return error.what();
    }
    ADD_FAILURE() << "it did not fail";
    return "";
  }
  void forget() {  // as a new export does
    for (GraphRecord& graph : manifest.graphs) graph.compiled.reset();
  }

  TestFolder folder, cache, empty;
  FakeAtc atc;
  Manifest manifest;
  AtcOptions options;
  AtcProgress progress;
  std::string said;
};

TEST_F(Compiling, fills_the_manifest_with_what_atc_made) {
  EXPECT_EQ(compile().made, 2);
  const Manifest read = Manifest::read(folder.path());
  const Compiled& compiled = read.graphs.at(0).compiled.value();
  EXPECT_EQ(compiled.om.file, "unet_step_64x64_b1.om");
  EXPECT_EQ(compiled.om.sha256, record_of(folder / "unet_step_64x64_b1.om").sha256);
  EXPECT_EQ(compiled.soc, "Ascend910B4");
  EXPECT_EQ(compiled.cann, "8.1.RC1");
  EXPECT_EQ(compiled.work_bytes, 24123392u);
  EXPECT_EQ(compiled.weight_bytes, 5170176u);
  EXPECT_EQ(compiled.command.front(), "--model=unet_step_64x64_b1.onnx");
  EXPECT_EQ(compiled.command.back(), "--keep_dtype=unet_step_64x64_b1.keep_dtype.cfg");
  EXPECT_EQ(folder.read("unet_step_64x64_b1.keep_dtype.cfg"), "Norm_1\n");
  EXPECT_FALSE(folder.has("unet_time.keep_dtype.cfg"));
  EXPECT_FALSE(folder.has("atc-build"));
  // ATC ran in a folder of its own, with the ONNX file where its weights are.
  const std::string calls = atc.toolkit.read("bin/calls");
  EXPECT_TRUE(calls.starts_with((folder / "atc-build").string() + "|--model=" + folder.path().string())) << calls;
}

TEST_F(Compiling, what_is_there_is_not_made_again) {
  compile();
  EXPECT_EQ(compile().had, 2);
  manifest = Manifest::read(folder.path());
  EXPECT_EQ(compile().had, 2);
  EXPECT_EQ(atc.calls(), 2);
  fs::remove(folder / "unet_time.om");
  EXPECT_EQ(compile().from_cache, 1);
  EXPECT_EQ(atc.calls(), 2);
}

TEST_F(Compiling, the_cache_serves_a_new_export_of_the_same) {
  compile();
  forget();
  fs::remove(folder / "unet_time.om");
  EXPECT_EQ(compile().from_cache, 2);
  EXPECT_EQ(atc.calls(), 2);
  EXPECT_EQ(manifest.graphs[1].compiled->work_bytes, 24123392u);
  EXPECT_EQ(folder.read("unet_time.om"), om_bytes(64));
}

TEST_F(Compiling, whatever_decides_the_bytes_is_part_of_the_key) {
  manifest.graphs.resize(1);
  compile();
  const Manifest first = manifest;
  const AtcOptions plain = options;
  const FakeAtc newer("8.2.RC1");
  const std::pair<const char*, std::function<void()>> rows[] = {
      {"onnx", [&] { manifest.graphs[0].onnx = record_of(folder.write("unet_step_64x64_b1.onnx", "another")); }},
      {"weights", [&] { manifest.weights[0] = record_of(folder.write("unet.bin", "Weights")); }},
      {"precision", [&] { manifest.precision = "mixed"; }},
      {"nodes", [&] { manifest.graphs[0].fp32_nodes = {"Norm_2"}; }},
      {"soc", [&] { options.soc = "Ascend310P3"; }},
      {"host", [&] { options.host_cpu = "aarch64"; }},
      {"shape", [&] { manifest.graphs[0].inputs[1].name = "t"; }},
      {"cann", [&] { options.around = newer.around(); }}};
  for (const auto& [name, change] : rows) {
    manifest = first;
    options = plain;
    folder.write("unet_step_64x64_b1.onnx", "onnx of unet_step_64x64_b1");
    folder.write("unet.bin", "weights");
    forget();
    EXPECT_EQ(compile().from_cache, 1) << name;
    change();
    forget();
    EXPECT_EQ(compile().made, 1) << name;
    forget();
    EXPECT_EQ(compile().from_cache, 1) << name;
  }
}

TEST_F(Compiling, a_cache_that_was_spoiled_is_not_used) {
  compile();
  int spoiled = 0;
  for (const auto& entry : fs::recursive_directory_iterator(cache.path()))
    if (entry.path().extension() == ".om") {
      ++spoiled;
      std::string bytes = om_bytes(64);
      bytes.back() = 'x';
      fs::remove(entry.path());
      std::ofstream(entry.path()) << bytes;
    }
  ASSERT_EQ(spoiled, 2);
  forget();
  EXPECT_EQ(compile().made, 2);
}

TEST_F(Compiling, a_cache_that_cannot_be_written_is_no_failure) {
  options.cache = folder.write("a file", "") / "cache";
  EXPECT_EQ(compile().made, 2);
  EXPECT_NE(said.find("not kept in the cache"), std::string::npos);
  options.cache = "";
  forget();
  EXPECT_EQ(compile().made, 2);
}

TEST_F(Compiling, goes_on_where_it_was_interrupted) {
  atc.before("if [ -f \"$here/once\" ]; then sleep 1000; fi; touch \"$here/once\"");
  progress.still_going = [](const GraphRecord& graph, double) { return graph.name != "unet_time"; };
  EXPECT_NE(failure().find("stopped while unet_time"), std::string::npos);
  const Manifest left = Manifest::read(folder.path());
  EXPECT_TRUE(left.graphs[0].compiled);
  EXPECT_FALSE(left.graphs[1].compiled);
  atc.before("");
  progress.still_going = nullptr;
  manifest = left;
  const CompileSummary summary = compile();
  EXPECT_EQ(summary.had, 1);
  EXPECT_EQ(summary.made, 1);
}

TEST_F(Compiling, a_failure_is_explained_with_command_and_log) {
  atc.before("echo 'E16002: No ONNX parser is registered for optype [ai.onnx::19::X].'; exit 1");
  const std::string what = failure();
  for (const char* part :
       {"exit code 1", "unet_step_64x64_b1.onnx", "E16002", "--opset 17", "unet_step_64x64_b1.atc.log",
        "--soc_version=Ascend910B4", "'--input_shape=latent:1,4,8,8;timestep:1'", "plog"})
    EXPECT_NE(what.find(part), std::string::npos) << part << " in " << what;
  EXPECT_EQ(what.find('\n'), std::string::npos);
  EXPECT_NE(folder.read("unet_step_64x64_b1.atc.log").find("ai.onnx::19::X"), std::string::npos);
  EXPECT_FALSE(folder.has("unet_step_64x64_b1.om"));
  EXPECT_FALSE(Manifest::read(folder.path()).graphs[0].compiled);
  atc.before("");
  EXPECT_EQ(compile().made, 2);
  EXPECT_FALSE(folder.has("unet_step_64x64_b1.atc.log"));
}

TEST_F(Compiling, an_atc_that_dies_or_lies_is_a_failure) {
  atc.before("kill -9 $$");
  const std::string killed = failure();
  EXPECT_NE(killed.find("exit code 137"), std::string::npos);
  EXPECT_NE(killed.find("it was killed (signal 9), most likely because memory ran out"), std::string::npos) << killed;
  atc.before("echo well; exit 0");
  EXPECT_NE(failure().find("left no .om"), std::string::npos);
  atc.before("");
  atc.toolkit.write("bin/good.om", om_bytes(64).substr(0, 300));
  EXPECT_NE(failure().find("cut off"), std::string::npos);
  EXPECT_FALSE(folder.has("unet_step_64x64_b1.om"));
}

TEST_F(Compiling, a_full_disk_is_told) {
  struct rlimit before {};
  getrlimit(RLIMIT_FSIZE, &before);
  atc.before("ulimit -f 0; trap '' XFSZ; echo x >\"$output\" || { echo 'cp: No space left on device'; exit 1; }");
  EXPECT_NE(failure().find("the disk is full"), std::string::npos);
}

TEST_F(Compiling, code_for_the_host_gives_the_file_another_name) {
  atc.toolkit.write("bin/ending", "_linux_x86_64.om");
  EXPECT_EQ(compile().made, 2);
  EXPECT_EQ(manifest.graphs[0].compiled->om.file, "unet_step_64x64_b1_linux_x86_64.om");
  EXPECT_TRUE(folder.has("unet_step_64x64_b1_linux_x86_64.om"));
}

TEST_F(Compiling, external_weights_come_along) {
  fs::resize_file(folder / "unet.bin", (uint64_t{2} << 30) + 1);  // of holes
  manifest.weights[0].bytes = (uint64_t{2} << 30) + 1;
  compile();
  EXPECT_EQ(folder.read("weight/weight_1f"), "w\n");
  fs::remove_all(folder / "weight");
  forget();
  EXPECT_EQ(compile().from_cache, 2);
  EXPECT_EQ(folder.read("weight/weight_1f"), "w\n");
}

TEST_F(Compiling, what_is_wrong_is_seen_before_anything_is_compiled) {
  manifest.graphs[1].gears.push_back(manifest.graphs[1].gears[0]);
  EXPECT_NE(failure().find("unet_time.onnx"), std::string::npos);
  manifest.graphs[1].gears.pop_back();
  options.soc = "Ascend910B";
  EXPECT_NE(failure().find("Ascend910B4-1"), std::string::npos);
  options.soc = "Ascend910B4";
  folder.write("unet.bin", "weight");
  EXPECT_NE(failure().find("unet.bin has 6 bytes, the manifest says 7"), std::string::npos);
  fs::remove(folder / "unet.bin");
  EXPECT_NE(failure().find("unet.bin is not there"), std::string::npos);
  manifest.weights.clear();
  EXPECT_NE(failure().find("unet.bin"), std::string::npos);
  EXPECT_EQ(atc.calls(), 0);
}

TEST_F(Compiling, an_environment_that_is_not_set_is_told_before) {
  atc.toolkit.write("set_env.sh", "");
  EXPECT_NE(failure().find("run `source " + (atc.toolkit / "set_env.sh").string()), std::string::npos);
  EXPECT_EQ(atc.calls(), 0);
}

TEST_F(Compiling, warnings_of_atc_are_told) {
  atc.before("echo 'W11001: Op [Cast_1] does not hit the high-priority operator information library'");
  compile();
  EXPECT_NE(said.find("Cast_1"), std::string::npos);
}

TEST_F(Compiling, never_does_nothing_and_require_needs_an_atc) {
  options.policy = compile_policy("never");
  EXPECT_EQ(compile().made, 0);
  EXPECT_EQ(atc.calls(), 0);
  options.policy = compile_policy("require");
  options.around = nothing_around(empty);
  EXPECT_NE(failure().find("hiascend.com"), std::string::npos);
  EXPECT_THROW(compile_policy("sometimes"), UsageError);
}

// Where there is no ATC.
class Script : public Compiling {
 protected:
  Script() { options.around = nothing_around(empty); }
  int run_script(const std::string& environment) const {
    const std::string script = (folder / kScriptName).string();
    return std::system((environment + " sh " + script + " >" + (folder / "output").string() + " 2>&1").c_str());
  }
  std::string with_atc() const {
    return "ASCEND_OPP_PATH=" + (atc.toolkit / "opp").string() + " INKSTONE_ATC=" + (atc.toolkit / "bin/atc").string();
  }
};

TEST_F(Script, has_the_commands_and_what_it_makes_is_taken_in) {
  fs::create_directories(atc.toolkit / "opp");
  EXPECT_EQ(compile().left, 2);
  EXPECT_NE(said.find(kScriptName), std::string::npos);
  EXPECT_EQ(run_script(with_atc()), 0) << folder.read("output");
  const std::string calls = atc.toolkit.read("bin/calls");
  EXPECT_NE(calls.find("--input_shape=latent:1,4,8,8;timestep:1 "), std::string::npos) << calls;
  EXPECT_NE(calls.find("--keep_dtype=" + folder.path().string()), std::string::npos) << calls;
  EXPECT_EQ(atc.calls("--keep_dtype="), 1);  // the time keeps its type anyway

  const CompileSummary summary = compile();
  EXPECT_EQ(summary.taken_in, 2);
  EXPECT_EQ(summary.left, 0);
  const Manifest written = Manifest::read(folder.path());
  const Compiled& compiled = written.graphs[0].compiled.value();
  EXPECT_EQ(compiled.work_bytes, 24123392u);
  EXPECT_EQ(compiled.cann, "8.1.RC1");
  EXPECT_EQ(compiled.soc, "Ascend910B4");
  EXPECT_FALSE(folder.has(kScriptName));
}

TEST_F(Script, goes_on_where_it_stopped) {
  fs::create_directories(atc.toolkit / "opp");
  compile();
  atc.before("if [ -f \"$here/once\" ]; then echo E10001: no; exit 1; fi; touch \"$here/once\"");
  EXPECT_NE(run_script(with_atc()), 0);
  atc.before("");
  EXPECT_EQ(compile().taken_in, 1);
  EXPECT_EQ(run_script(with_atc()), 0) << folder.read("output");
  EXPECT_EQ(atc.calls(), 3);
  EXPECT_EQ(compile().taken_in, 1);
}

TEST_F(Script, what_was_made_of_another_export_is_not_taken_in) {
  fs::create_directories(atc.toolkit / "opp");
  compile();
  EXPECT_EQ(run_script(with_atc()), 0);
  manifest.graphs[0].onnx = record_of(folder.write("unet_step_64x64_b1.onnx", "another"));
  const CompileSummary summary = compile();
  EXPECT_EQ(summary.taken_in, 1);
  EXPECT_EQ(summary.left, 1);
}

TEST_F(Script, refuses_without_atc_or_with_files_that_are_not_whole) {
  fs::create_directories(atc.toolkit / "opp");
  compile();
  EXPECT_NE(run_script("INKSTONE_ATC=/no/such/atc"), 0);
  EXPECT_NE(folder.read("output").find("there is no atc"), std::string::npos);
  EXPECT_NE(run_script("env -u ASCEND_OPP_PATH INKSTONE_ATC=" + (atc.toolkit / "bin/atc").string()), 0);
  EXPECT_NE(folder.read("output").find("ASCEND_OPP_PATH"), std::string::npos);
  folder.write("unet.bin", "Weights");
  EXPECT_NE(run_script(with_atc()), 0);
  EXPECT_NE(folder.read("output").find("unet.bin is not as it was exported"), std::string::npos);
  EXPECT_EQ(atc.calls(), 0);
}

TEST_F(Script, names_are_not_run_by_the_shell) {
  fs::create_directories(atc.toolkit / "opp");
  const std::string name = "it's $(touch owned)";
  manifest.graphs.resize(1);
  manifest.graphs[0].name = name;
  manifest.graphs[0].onnx = record_of(folder.write(name + ".onnx", "onnx"));
  compile();
  EXPECT_EQ(run_script(with_atc()), 0) << folder.read("output");
  EXPECT_EQ(compile().taken_in, 1);
  EXPECT_FALSE(folder.has("owned"));
}

TEST_F(Script, without_a_chip_nothing_can_be_written) {
  options.soc = "auto";
  const CompileSummary summary = compile();
  EXPECT_EQ(summary.left, 2);
  EXPECT_FALSE(folder.has(kScriptName));
  EXPECT_NE(said.find("--soc"), std::string::npos);
}

}  // namespace
}  // namespace inkstone
