// The simulated `atc`: refuses what ATC refuses (docs/ascend.md), and packs the ONNX model into an
// `.om` that the simulated library runs. Prints ATC's lines, each marked as simulated.
#include "atc.h"

#include <google/protobuf/stubs/logging.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>
#include <fstream>
#include <iostream>

#include "settings.h"

namespace {

using namespace ascend_sim;

constexpr const char* kHelp =
    "usage: atc <args>   [simulated]\n"
    "  --model=m.onnx --framework=5 --output=name --soc_version=Ascend910B4 [--input_shape=...] and the flags of\n"
    "  tests/ascend_sim/README.md; --mode=6 --om=x.om shows what a file holds\n";

void print_error(const AtcError& error) {
  char now[32];
  const std::time_t seconds = std::time(nullptr);
  std::strftime(now, sizeof now, "%Y-%m-%d-%H:%M:%S", std::localtime(&seconds));
  std::cout << "ATC run failed, Please check the detail log, Try 'atc --help' for more information\n"
            << error.code << ": [PID: " << getpid() << "] " << now << " [simulated] " << error.text << std::endl;
}

void show(const AtcFlags& flags) {
  if (!flags.has("om")) atc_fail("E10007", "[--om] is required.");
  OmInfo info;
  std::string why;
  const std::string path = flags.value("om");
  if (read_om(path, info, nullptr, why) != OmFault::kNone) invalid_value("om", path, why);
  std::cout
      << "============ Display Model Info start ============ [simulated]\n"
      << "Original Atc command line: " << info.command << "\n"
      << "system   info: atc_version[" << info.cann << "], soc_version[" << info.soc << "], framework_type[5].\n"
      << "resource info: memory_size[" << info.work_bytes << " B], weight_size[" << info.weight_bytes
      << " B], stream_num[1], event_num[0].\n"
      << "om       info: modeldef_size[" << info.model_bytes << " B], weight_data_size[" << info.weight_bytes
      << " B], tbe_kernels_size[0 B], cust_aicpu_kernel_store_size[0 B], task_info_size[0 B], so_store_size[0 B].\n"
      << "============ Display Model Info end   ============ [simulated]\n";
}

void check_places(const AtcFlags& flags) {
  if (access(".", W_OK) != 0)
    atc_fail("E40023", "The path [" + std::filesystem::current_path().string() + "] (ge.debugDir) is not writable.");
  const auto folder = std::filesystem::path(flags.value("output")).parent_path();
  if (!folder.empty() && access(folder.c_str(), W_OK) != 0)
    invalid_value("output", flags.value("output"), "The folder does not exist or is not writable.");
}

void take_output_type(const AtcFlags& flags, OmInfo& info) {
  if (!flags.has("output_type")) return;
  const std::string type = flags.value("output_type");
  if (type != "FP32" && type != "FP16") invalid_value("output_type", type, "FP32 and FP16 are simulated.");
  for (OmPort& port : info.outputs)
    if (is_floating(port.type)) port.type = type == "FP16" ? kHalf : kFloat;
}

void compile(const AtcFlags& flags) {
  flags.check_compile();
  const Chip* chip = find_chip(flags.value("soc_version"));
  if (!chip) invalid_value("soc_version", flags.value("soc_version"), "The chip is not known to this version of CANN.");
  check_places(flags);
  const std::filesystem::path path = flags.value("model");
  std::ifstream in(path, std::ios::binary);
  if (!in) invalid_value("model", path.string(), "The file does not exist or cannot be read.");
  onnx::ModelProto model;
  if (!model.ParseFromIstream(&in)) atc_fail("E16001", "The file [" + path.string() + "] is no ONNX model.");

  OmInfo info;
  info.name = std::filesystem::path(flags.value("output")).filename().string();
  info.soc = chip->name;
  info.cann = Settings::from_environment().cann + kCannSuffix;
  info.command = flags.command();
  std::ranges::replace(info.command, '\n', ' ');
  info.external_weight = std::stoi(flags.value("external_weight", "0"));
  info.clip_weights = flags.value("is_weight_clip", "1") == "1";
  const std::filesystem::path folder = path.parent_path().empty() ? "." : path.parent_path();
  info.precision = take_precision(flags, model.graph(), *chip);
  const auto warnings = check_graph(model, folder, info.precision);
  take_shapes(flags, model.graph(), info);
  measure(model, folder, info);
  take_output_type(flags, info);
  for (const std::string& warning : warnings) std::cout << "W10001: [simulated] " << warning << "\n";
  write_om(model, folder, flags.value("output"), info);
}

}  // namespace

int main(int argc, char** argv) {
  const google::protobuf::LogSilencer quiet;
  if (argc < 2 || std::string(argv[1]) == "--help") return std::cout << kHelp, argc < 2;
  std::cout << "ATC start working now, please wait for a moment. [simulated]" << std::endl;
  try {
    const AtcFlags flags(argc, argv);
    if (flags.value("mode", "0") == "6") {
      show(flags);
    } else if (flags.value("mode", "0") != "0") {
      invalid_value("mode", flags.value("mode"), "This mode is not simulated.");
    } else {
      compile(flags);
    }
  } catch (const AtcError& error) {
    return print_error(error), 1;
  } catch (const std::exception& error) {
    return print_error({"E19999", error.what()}), 1;
  }
  std::cout << "[simulated]\nATC run success, welcome to the next use." << std::endl;
  return 0;
}
