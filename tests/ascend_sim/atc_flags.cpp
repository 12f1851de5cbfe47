#include <algorithm>

#include "atc.h"

namespace ascend_sim {
namespace {

// Each flag that ATC knows, and its values where only some are allowed.
const std::map<std::string, std::vector<std::string>>& known() {
  static const std::map<std::string, std::vector<std::string>> flags = [] {
    std::map<std::string, std::vector<std::string>> all{
        {"mode", {"0", "1", "3", "5", "6"}},
        {"framework", {"0", "1", "3", "5"}},
        {"input_format", {"NCHW", "NCDHW", "ND", "NHWC"}},
        {"precision_mode",
         {"force_fp16", "force_fp32", "cube_fp16in_fp32out", "allow_mix_precision", "allow_fp32_to_fp16",
          "must_keep_origin_dtype", "allow_mix_precision_fp16", "allow_mix_precision_bf16", "allow_fp32_to_bf16"}},
        {"precision_mode_v2",
         {"fp16", "origin", "cube_fp16in_fp32out", "mixed_float16", "mixed_bfloat16", "mixed_hif8", "cube_hif8"}},
        {"op_select_implmode",
         {"high_precision", "high_performance", "high_precision_for_all", "high_performance_for_all"}},
        {"buffer_optimize", {"l1_optimize", "l2_optimize", "off_optimize", "l1_and_l2_optimize"}},
        {"disable_reuse_memory", {"0", "1"}},
        {"external_weight", {"0", "1", "2"}},
        {"host_env_os", {"linux"}},
        {"host_env_cpu", {"x86_64", "aarch64"}},
        {"deterministic", {"0", "1"}},
        {"log", {"null", "debug", "info", "warning", "error"}},
        {"op_compiler_cache_mode", {"enable", "force", "disable"}},
        {"virtual_type", {"0", "1"}},
        {"enable_single_stream", {"true", "false"}},
        {"is_weight_clip", {"0", "1"}},
        {"sparsity", {"0", "1"}},
        {"oo_level", {"O1", "O3"}},
        {"jit_compile", {"0", "1", "2"}},
        {"display_model_info", {"0", "1"}},
        {"tiling_schedule_optimize", {"0", "1"}},
        {"topo_sorting_mode", {"0", "1", "2", "3"}}};
    for (const char* any : {"model",
                            "output",
                            "soc_version",
                            "input_shape",
                            "dynamic_batch_size",
                            "dynamic_image_size",
                            "dynamic_dims",
                            "optypelist_for_implmode",
                            "op_precision_mode",
                            "modify_mixlist",
                            "keep_dtype",
                            "customize_dtypes",
                            "output_type",
                            "input_fp16_nodes",
                            "out_nodes",
                            "insert_op_conf",
                            "fusion_switch_file",
                            "optimization_switch",
                            "op_compiler_cache_dir",
                            "aicore_num",
                            "om",
                            "json",
                            "compression_optimize_conf",
                            "debug_dir",
                            "op_debug_level",
                            "deterministic_level",
                            "input_shape_range",
                            "auto_tune_mode",
                            "save_original_model",
                            "check_report"})
      all[any];
    return all;
  }();
  return flags;
}

std::string list(const std::vector<std::string>& values) {
  std::string text;
  for (const std::string& v : values) text += (text.empty() ? "" : ", ") + v;
  return text;
}

}  // namespace

void invalid_value(const std::string& flag, const std::string& value, const std::string& reason) {
  atc_fail("E10001", "Value [" + value + "] for parameter [--" + flag + "] is invalid. Reason: " + reason);
}

std::vector<std::string> split_text(const std::string& text, char at) {
  std::vector<std::string> parts;
  size_t from = 0;
  while (from < text.size()) {
    const size_t to = std::min(text.find(at, from), text.size());
    parts.push_back(text.substr(from, to - from));
    from = to + 1;
  }
  return parts;
}

AtcFlags::AtcFlags(int argc, char** argv) {
  command_ = "atc";
  for (int i = 1; i < argc; ++i) {
    std::string argument = argv[i];
    command_ += " " + argument;
    if (!argument.starts_with("--"))
      atc_fail("E10001", "Argument [" + argument + "] is no flag; flags are --name=value.");
    const size_t equal = argument.find('=');
    const std::string name = argument.substr(2, equal == std::string::npos ? equal : equal - 2);
    if (!known().contains(name)) atc_fail("E10001", "Unknown flag [--" + name + "]: unknown command line flag.");
    if (equal == std::string::npos) invalid_value(name, "", "The flag has no value.");
    const std::string value = argument.substr(equal + 1);
    const auto& allowed = known().at(name);
    if (!allowed.empty() && !std::ranges::count(allowed, value))
      invalid_value(name, value,
                    "The current value is not within the valid range. Valid values are: {" + list(allowed) + "}.");
    if (value.empty() && allowed.empty() && name != "input_shape") invalid_value(name, value, "The value is empty.");
    given_[name] = value;
  }
}

std::string AtcFlags::value(const std::string& flag, const std::string& otherwise) const {
  const auto found = given_.find(flag);
  return found == given_.end() ? otherwise : found->second;
}

void AtcFlags::check_compile() const {
  for (const char* flag : {"model", "framework", "output", "soc_version"})
    if (!has(flag)) atc_fail("E10007", "[--" + std::string(flag) + "] is required.");
  if (value("framework") != "5") invalid_value("framework", value("framework"), "Only ONNX (5) is simulated here.");
  if (has("precision_mode") && has("precision_mode_v2"))
    atc_fail("E10001", "[--precision_mode] and [--precision_mode_v2] cannot be given together.");
  int gears = 0;
  for (const char* flag : {"dynamic_batch_size", "dynamic_image_size", "dynamic_dims", "input_shape_range"})
    gears += has(flag);
  if (gears > 1)
    atc_fail(
        "E10009",
        "--dynamic_batch_size, --dynamic_image_size, --input_shape_range, and --dynamic_dims are mutually exclusive.");
  if (has("input_shape_range"))
    atc_fail("E10001", "[--input_shape_range] (shapes not known before the run) is not simulated.");
  if (has("insert_op_conf") || has("compression_optimize_conf") || has("out_nodes"))
    atc_fail("E10001", "[--insert_op_conf], [--compression_optimize_conf] and [--out_nodes] are not simulated.");
  for (const char* flag : {"fusion_switch_file"})
    if (has(flag) && !std::filesystem::is_regular_file(value(flag)))
      invalid_value(flag, value(flag), "The file does not exist.");
  if (has("optypelist_for_implmode") && !has("op_select_implmode"))
    atc_fail("E10007", "[--op_select_implmode] is required where --optypelist_for_implmode is given.");
}

}  // namespace ascend_sim
