#include "adapters/adapter_file.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/digest.h"
#include "base/error.h"
#include "base/json.h"
#include "base/spelling.h"
#include "base/utf8.h"

namespace inkstone {
namespace {

namespace fs = std::filesystem;

double number(const Json& json, const std::string& what) {
  INKSTONE_CHECK(json.is_number(), what, " is not a number");
  const double value = json.to_number<double>();
  INKSTONE_CHECK(std::isfinite(value), what, " is not finite");
  return value;
}

// A pattern names the end of a path, in whole pieces. It is a regular expression, of which dots and a
// caret are what people write.
bool names_end(std::string pattern, const std::string& path, const std::string& what) {
  std::erase(pattern, '\\');
  const bool whole = pattern.starts_with('^');
  if (whole) pattern.erase(0, 1);
  INKSTONE_CHECK(pattern.find_first_of("*+?()[]{}|^$") == pattern.npos, what, ": the pattern ", shown(pattern),
                 " is a regular expression; names of layers are read");
  if (path == pattern) return true;
  return !whole && path.ends_with("." + pattern);
}

// diffusers writes it into the file, PEFT beside it.
PeftSettings settings_of(const Checkpoint& checkpoint, const fs::path& path) {
  constexpr size_t kMaxBytes = size_t{1} << 20, kMaxValues = 100'000;
  const auto found = checkpoint.metadata().find("lora_adapter_metadata");
  const fs::path beside = path.parent_path() / "adapter_config.json";
  std::string source = path.string() + " (lora_adapter_metadata)";
  Json json;
  if (found != checkpoint.metadata().end()) {
    json = parse_json(found->second, source, kMaxValues);
  } else if (path.filename() == "adapter_model.safetensors" && fs::exists(beside)) {
    source = beside.string();
    json = read_json(beside, kMaxBytes);
  }
  return json.is_object() ? PeftSettings(json.get_object(), source) : PeftSettings();
}

}  // namespace

std::string first_few(std::vector<std::string> names) {
  constexpr size_t kShown = 3;
  for (std::string& name : names) name = shown(name);
  return listed(names, kShown);
}

const WeightView* LayerParts::find(Part part) const {
  const auto found = tensors.find(part);
  return found == tensors.end() ? nullptr : &found->second;
}

PeftSettings::PeftSettings(const JsonObject& settings, std::string source)
    : settings_(std::make_shared<const JsonObject>(settings)), source_(std::move(source)) {}

// Of the component, or of the only one.
const Json* PeftSettings::find(const std::string& component, const std::string& key) const {
  if (!settings_) return nullptr;
  if (const Json* value = settings_->if_contains(component + "." + key)) return value;
  return settings_->if_contains(key);
}

double PeftSettings::alpha(const std::string& component, const std::string& path, double usual) const {
  const Json* patterns = find(component, "alpha_pattern");
  if (!patterns || !patterns->is_object()) return usual;
  const std::string what = source_ + ": alpha_pattern";
  for (const auto& [pattern, value] : patterns->get_object())
    if (names_end(std::string(pattern), path, what)) return number(value, what);
  return usual;
}

std::optional<double> PeftSettings::scale(const std::string& component, const std::string& path, int64_t rank) const {
  const Json* usual = find(component, "lora_alpha");
  if (!usual) usual = find(component, "alpha");  // LoHa's and LoKr's
  if (!usual) return {};
  const double alpha = this->alpha(component, path, number(*usual, source_ + ": alpha"));
  const Json* rooted = find(component, "use_rslora");
  const auto r = static_cast<double>(rank);
  return rooted && rooted->is_bool() && rooted->get_bool() ? alpha / std::sqrt(r) : alpha / r;
}

AdapterFile::AdapterFile(const fs::path& path)
    : source_(path.string()), name_(path.stem().string()), checkpoint_(path), peft_(settings_of(checkpoint_, path)) {
  for (const auto& [key, view] : checkpoint_.tensors()) add(key);
  for (const auto& [key, type] : checkpoint_.unread()) add(key);
}

void AdapterFile::add(const std::string& key) {
  const std::optional<PartName> name = part_name(key);
  if (!name) {
    unknown_.push_back(key);
    return;
  }
  const std::string what = tensor(shown(key));
  INKSTONE_CHECK(name->part != Part::kRefused, what, " is of ", name->kind, ", which is not applied here");
  LayerParts& layer = layers_[name->stem];
  layer.peft = layer.peft || name->peft;
  if (const auto value = checkpoint_.numbers().find(key); value != checkpoint_.numbers().end()) {
    layer.numbers[name->part] = value->second;
    return;
  }
  const auto other = checkpoint_.unread().find(key);
  INKSTONE_CHECK(other == checkpoint_.unread().end(), what, " is stored as ", other->second,
                 "; F32, F16 and BF16 are read: convert the file");
  const WeightView& view = checkpoint_.tensors().at(key);
  INKSTONE_CHECK(view.form.is_plain(), what, " is stored as fp8 or with strides; convert the file to fp16");
  INKSTONE_CHECK(!view.bytes.empty(), what, " is empty: ", shown(to_string(view.shape)));
  if (name->part == Part::kAlpha || name->part == Part::kOnInput) {
    INKSTONE_CHECK(view.bytes.size() == size_of(view.type), what, " is ", shown(to_string(view.shape)),
                   ", one number is expected");
    float value = 0;
    to_float(view.type, view.bytes.data(), &value, 1);
    INKSTONE_CHECK(std::isfinite(value), what, " is NaN or infinite: the file is damaged");
    layer.numbers[name->part] = value;
    return;
  }
  INKSTONE_CHECK(layer.tensors.emplace(name->part, view).second, what, " and ",
                 shown(layer.tensors.at(name->part).name), " are the same part of one layer");
}

std::string AdapterFile::hash() const {
  const MappedFile file{fs::path(source_)};
  std::span<const std::byte> bytes = file.bytes();
  if (bytes.size() >= 8) {
    uint64_t header = 0;
    for (size_t i = 8; i-- > 0;) header = header << 8 | static_cast<uint64_t>(bytes[i]);
    if (header <= bytes.size() - 8) bytes = bytes.subspan(8 + header);
  }
  Digest digest;
  digest.add(bytes);
  return digest.text();
}

}  // namespace inkstone
