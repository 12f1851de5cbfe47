#include "atc/compiler.h"

#include <sys/utsname.h>

#include <algorithm>
#include <cmath>

#include "atc/command.h"
#include "atc/explain.h"
#include "atc/om_cache.h"
#include "atc/om_file.h"
#include "atc/om_info.h"
#include "atc/process.h"
#include "atc/script.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/file.h"
#include "base/utf8.h"

namespace inkstone {
namespace {

namespace fs = std::filesystem;

constexpr const char* kBuildName = "atc-build";
constexpr size_t kMaxShownCommand = 1500;

struct Work {
  GraphRecord* graph = nullptr;
  FileRecord weights;
  AtcCommand command;
  std::string recipe;
  // the command as it would be run inside the folder
  std::vector<std::string> recorded;
};

void write_text(const fs::path& path, const std::string& text) { write_file(path, std::as_bytes(std::span(text))); }

FileRecord weights_of(const Manifest& manifest, const GraphRecord& graph) {
  const auto found =
      std::ranges::find_if(manifest.weights, [&](const FileRecord& file) { return file.file == graph.weights; });
  INKSTONE_CHECK(found != manifest.weights.end(), kManifestName, ": the weights ", shown(graph.weights), " of ",
                 shown(graph.name), " are not in its list: export the model again");
  return *found;
}

void check_exported(const FileRecord& file, const fs::path& folder) {
  std::error_code error;
  const uint64_t size = fs::file_size(folder / file.file, error);
  INKSTONE_CHECK(!error && size == file.bytes, (folder / file.file).string(), error ? " is not there" : " has ",
                 error ? std::string() : std::to_string(size) + " bytes", ", the manifest says ", file.bytes,
                 " bytes: export the model again");
}

std::string command_line(const fs::path& program, const std::vector<std::string>& words) {
  std::string line = quoted(program.string());
  for (const std::string& word : words) line += " " + quoted(word);
  return line;
}

class Compiler {
 public:
  Compiler(Manifest& manifest, fs::path folder, const AtcOptions& options, const AtcProgress& progress)
      : manifest_(manifest),
        folder_(fs::absolute(folder)),
        options_(options),
        progress_(progress),
        cache_(options.cache),
        tool_(find_tool()) {}

  CompileSummary run() {
    if (!tool_ && options_.policy == CompilePolicy::kAuto && options_.soc == "auto" && options_.detected_soc.empty()) {
      say("nothing is compiled: " + search_.advice() + "; with --soc, " + kScriptName + " is written to run elsewhere");
      summary_.left = static_cast<int>(manifest_.graphs.size());
      return summary_;
    }
    const std::vector<Work> all = plan();
    std::vector<Work> left;
    for (const Work& work : all)
      if (!settle(work)) left.push_back(work);
    manifest_.write(folder_);
    if (tool_)
      for (size_t i = 0; i < left.size(); ++i) make(left[i], i + 1, left.size());
    else
      leave_script(left);
    return summary_;
  }

 private:
  std::optional<AtcTool> find_tool() {
    search_ = find_atc(options_.around);
    INKSTONE_CHECK(search_.tool || options_.policy != CompilePolicy::kRequire, "--compile require: ", search_.advice());
    if (search_.tool)
      INKSTONE_CHECK(search_.tool->set_env.empty(), "ATC is at ", search_.tool->program.string(),
                     ", but its environment is not set (ASCEND_OPP_PATH): run `source ", search_.tool->set_env,
                     "` first");
    return search_.tool;
  }

  void say(const std::string& line) const {
    if (progress_.say) progress_.say(line);
  }

  std::vector<Work> plan() {
    const Soc& soc = choose_soc(options_.soc, options_.detected_soc);
    const AtcTarget target{&soc, manifest_.precision, options_.host_cpu};
    std::vector<Work> all;
    for (GraphRecord& graph : manifest_.graphs) {
      Work work{&graph, weights_of(manifest_, graph), {}, {}, {}};
      check_exported(graph.onnx, folder_);
      check_exported(work.weights, folder_);
      work.command = atc_command(graph, target, work.weights.bytes);
      work.recipe = recipe_of(graph, work.weights, work.command);
      work.recorded = arguments(work.command, {graph.onnx.file, graph.name, keep_dtype_name(graph)});
      all.push_back(std::move(work));
    }
    return all;
  }

  // Takes what exists already: in the folder, made by the script, in the cache.
  bool settle(const Work& work) {
    if (has(work)) {
      ++summary_.had;
    } else if (take_in(work)) {
      ++summary_.taken_in;
      say(work.graph->name + ": taken in");
    } else if (const auto entry = tool_ ? cache_.find(key_of(work)) : std::nullopt) {
      place_files(entry->info, entry->folder, folder_);
      fill(work, entry->info, entry->info.files.front());
      ++summary_.from_cache;
      say(work.graph->name + ": from the cache");
    } else {
      work.graph->compiled.reset();
      return false;
    }
    return true;
  }

  bool is_of_this_cann(const std::string& cann) const { return !tool_ || tool_->cann.empty() || tool_->cann == cann; }

  bool is_good(const fs::path& om) const {
    try {
      read_om_header(om);
      return true;
    } catch (const Error&) {
      if (!tool_) throw;  // else it is made again
      return false;
    }
  }

  bool has(const Work& work) const {
    const std::optional<Compiled>& compiled = work.graph->compiled;
    if (!compiled || compiled->command != work.recorded || !is_of_this_cann(compiled->cann)) return false;
    std::error_code error;
    const fs::path om = folder_ / compiled->om.file;
    return fs::file_size(om, error) == compiled->om.bytes && !error && is_good(om);
  }

  bool take_in(const Work& work) {
    std::error_code ignored;
    const fs::path path = folder_ / om_info_name(*work.graph);
    if (!fs::exists(path, ignored)) return false;
    const OmInfo info = parse_om_info(read_file(path, kMaxOmInfoBytes));
    if (info.recipe != work.recipe || !is_of_this_cann(info.cann)) return false;
    const std::optional<fs::path> om = find_om(folder_, work.graph->name);
    if (!om || !is_good(*om)) return false;
    fill(work, info, record_of(*om));
    return true;
  }

  std::string key_of(const Work& work) const {
    utsname machine = {};
    if (options_.host_cpu.empty()) uname(&machine);
    return sha256("recipe " + work.recipe + "\ncann " + tool_->stamp() + "\nhost " + machine.machine + "\n");
  }

  void fill(const Work& work, const OmInfo& info, const FileRecord& om) {
    const std::string soc = info.soc.empty() ? choose_soc(options_.soc, options_.detected_soc).name : info.soc;
    work.graph->compiled =
        Compiled{om, soc, info.cann.empty() ? info.atc : info.cann, info.work_bytes, info.weight_bytes, work.recorded};
    manifest_.write(folder_);
  }

  std::string write_keep_dtype(const Work& work) const {
    const fs::path path = folder_ / keep_dtype_name(*work.graph);
    std::error_code ignored;
    fs::remove(path, ignored);
    if (work.command.keep.empty()) return "";
    std::string text;
    for (const std::string& node : work.command.keep) text += node + "\n";
    write_text(path, text);
    return path.string();
  }

  ProcessResult run_atc(const Work& work, const fs::path& build, const std::vector<std::string>& words) const {
    ProcessWatch watch{progress_.atc_line, {}};
    if (progress_.still_going) watch.tick = [&](double seconds) { return progress_.still_going(*work.graph, seconds); };
    ProcessResult result = run_process({tool_->program, words, build, tool_->environment}, watch);
    INKSTONE_CHECK(!result.told_to_stop, "stopped while ", work.graph->name,
                   " was compiled; what was made before stays: the same command goes on from there");
    return result;
  }

  [[noreturn]] void fail_with_log(const Work& work, const ProcessResult& result, const std::string& command,
                                  const std::string& what) const {
    const fs::path log = folder_ / (work.graph->name + ".atc.log");
    write_text(log, command + "\n" + result.output);
    fail(INKSTONE_HERE, {"ATC ", what, " on ", work.graph->onnx.file, ": ",
                         explain_atc(result.output, result.code).text(), "; its output is in ", log.string(),
                         "; the command: ", command.size() <= kMaxShownCommand ? command : "the first line there"});
  }

  void make(const Work& work, size_t number, size_t count) {
    const fs::path build = folder_ / kBuildName;
    std::error_code error;
    fs::remove_all(build, error);
    fs::create_directories(build, error);
    INKSTONE_CHECK(!error, "cannot make the folder ", build.string(), ", where ATC is to run: ", error.message());
    const std::string& name = work.graph->name;
    const std::vector<std::string> words = arguments(
        work.command, {(folder_ / work.graph->onnx.file).string(), (build / name).string(), write_keep_dtype(work)});
    const std::string command = command_line(tool_->program, words);
    say(name + ": ATC compiles it (" + std::to_string(number) + " of " + std::to_string(count) + ")");
    const ProcessResult result = run_atc(work, build, words);
    if (result.code != 0)
      fail_with_log(work, result, command,
                    "failed (exit code " +
                        (result.code == ProcessResult::kUnknown ? "unknown" : std::to_string(result.code)) + ")");
    const std::optional<fs::path> om = find_om(build, name);
    if (!om) fail_with_log(work, result, command, "said that all is well and left no .om");
    read_om_header(*om);
    for (const std::string& warning : atc_warnings(result.output)) say(name + ": " + warning);
    take(work, *om);
    fs::remove(folder_ / (name + ".atc.log"), error);
    fs::remove_all(build, error);
    ++summary_.made;
    say(name + ": compiled in " + std::to_string(std::llround(result.seconds)) + " s");
  }

  // A new `.om` goes to the folder, then to the cache.
  void take(const Work& work, const fs::path& om) {
    const fs::path build = om.parent_path();
    const ProcessResult shown_info = run_atc(work, build, {"--mode=6", "--om=" + om.string()});
    OmInfo info = parse_om_info(shown_info.output);
    if (shown_info.code != 0 || info.work_bytes == 0)
      say(work.graph->name + ": `atc --mode=6` did not say how much memory it takes");
    info.recipe = work.recipe;
    info.cann = tool_->cann;
    info.files = records_of(om, work.command.has_external_weights);
    place_files(info, build, folder_);
    try {
      cache_.put(key_of(work), info, own_lines(info) + shown_info.output, build);
    } catch (const Error& error) {
      say(work.graph->name + ": not kept in the cache: " + error.what());
    }
    fill(work, info, info.files.front());
  }

  void leave_script(const std::vector<Work>& left) {
    const fs::path path = folder_ / kScriptName;
    std::error_code ignored;
    fs::remove(path, ignored);
    summary_.left = static_cast<int>(left.size());
    if (left.empty()) return;
    std::vector<ScriptEntry> entries;
    for (const Work& work : left) {
      write_keep_dtype(work);
      entries.push_back({work.graph, work.weights, work.command, work.recipe});
    }
    write_text(path, compile_script(entries));
    fs::permissions(path, fs::perms(0755), ignored);
    say(search_.advice() + "; the commands are in " + path.string() +
        ": run it where ATC is, copy the folder back, and run this command again");
  }

  Manifest& manifest_;
  fs::path folder_;
  const AtcOptions& options_;
  const AtcProgress& progress_;
  OmCache cache_;
  AtcSearch search_;
  std::optional<AtcTool> tool_;
  CompileSummary summary_;
};

}  // namespace

CompilePolicy compile_policy(const std::string& name) {
  if (name == "auto") return CompilePolicy::kAuto;
  if (name == "never") return CompilePolicy::kNever;
  if (name == "require") return CompilePolicy::kRequire;
  fail<UsageError>(INKSTONE_HERE, {"--compile ", shown(name), ": auto, never or require"});
}

CompileSummary compile_for_ascend(Manifest& manifest, const fs::path& folder, const AtcOptions& options,
                                  const AtcProgress& progress) {
  if (options.policy == CompilePolicy::kNever) return {};
  return Compiler(manifest, folder, options, progress).run();
}

}  // namespace inkstone
