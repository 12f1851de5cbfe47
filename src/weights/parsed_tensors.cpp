#include "weights/parsed_tensors.h"

#include <algorithm>
#include <string_view>

#include "base/error.h"
#include "base/utf8.h"
#include "weights/safetensors.h"
#include "weights/torch_file.h"

namespace inkstone {
namespace {

// Of fp8 files whose values are numbers times a scale, which we do not apply.
constexpr std::string_view kScales[] = {"scaled_fp8", ".scale_weight", ".weight_scale", ".comfy_quant"};

void check_unscaled(const std::string& name, const std::string& source) {
  const bool scaled =
      std::ranges::any_of(kScales, [&](std::string_view ending) { return std::string_view(name).ends_with(ending); });
  INKSTONE_CHECK(
      !scaled, source, " has the tensor ", shown(name),
      ": its weights are quantized with scales, which are not read; get the model in fp16, bf16 or plain fp8");
}

// A safetensors file has the length of its header before it, which may look like anything.
bool is_torch_zip(std::string_view start) { return start.starts_with("PK") && !(start.size() > 8 && start[8] == '{'); }

}  // namespace

ParsedTensors parse_tensors(std::span<const std::byte> file, const std::string& source) {
  const std::string_view start(reinterpret_cast<const char*>(file.data()), std::min<size_t>(file.size(), 9));
  ParsedTensors found = is_torch_zip(start) ? parse_torch_file(file, source) : parse_safetensors(file, source);
  for (const WeightView& view : found.tensors) check_unscaled(view.name, source);
  for (const auto& [name, type] : found.unread) check_unscaled(name, source);
  return found;
}

}  // namespace inkstone
