// Weights::open: which files of a component's folder hold its weights.
#include <algorithm>
#include <iterator>
#include <set>

#include "base/error.h"
#include "base/json.h"
#include "base/utf8.h"
#include "weights/weight_files.h"
#include "weights/weights.h"

namespace inkstone {
namespace {

namespace fs = std::filesystem;

// The full weights come first.
constexpr const char* kVariants[] = {"", "fp16", "bf16", "non_ema"};
constexpr const char *kSafetensors = ".safetensors", *kTorch = ".bin";
constexpr size_t kMaxShards = 1000, kMaxIndexBytes = size_t{16} << 20;

// Of one stem and variant: the whole, and indexes of shards by both names in use (diffusers' today's, and that of 2023).
void add_forms(std::vector<WeightForm>& forms, const std::string& stem, const std::string& kind,
               const std::string& variant) {
  const std::string dotted = variant.empty() ? "" : "." + variant;
  forms.push_back({stem + dotted + kind, false, variant});
  forms.push_back({stem + kind + ".index" + dotted + ".json", true, variant});
  if (!variant.empty()) forms.push_back({stem + kind + dotted + ".index.json", true, variant});
}

std::vector<WeightForm> forms_of(std::initializer_list<const char*> stems, const char* kind) {
  std::vector<WeightForm> forms;
  for (const char* stem : stems)
    for (const char* variant : kVariants) add_forms(forms, stem, kind, variant);
  return forms;
}

// As torch.save writes them. They are looked for after all others.
std::vector<WeightForm> torch_forms() { return forms_of({"pytorch_model", "diffusion_pytorch_model"}, kTorch); }

// Shard names come from a file: a plain name of a file of the index's kind in the same folder, nothing else.
void check_shard_name(const std::string& name, const fs::path& index) {
  const bool plain =
      !name.empty() && name.size() <= 255 && name.find_first_of(std::string_view("/\\\0", 3)) == std::string::npos;
  const bool torch = index.filename().string().find(std::string(kTorch) + ".") != std::string::npos;
  const char* kind = torch ? kTorch : kSafetensors;
  INKSTONE_CHECK(plain && fs::path(name).extension() == kind && name[0] != '.', index.string(), ": the shard name \"",
                 shown(name), "\" is not a plain name of a ", kind, " file");
}

using WeightMap = std::map<std::string, std::string>;  // tensor, shard

WeightMap read_index(const fs::path& index) {
  const Json json = read_json(index, kMaxIndexBytes);
  const Json* map = json.is_object() ? json.get_object().if_contains("weight_map") : nullptr;
  INKSTONE_CHECK(map && map->is_object(), index.string(), ": no object \"weight_map\"");
  WeightMap shards;
  for (const auto& [tensor, shard] : map->get_object()) {
    INKSTONE_CHECK(shard.is_string(), index.string(), ": the shard of ", shown(tensor), " is not a string");
    const std::string name(shard.get_string().c_str(), shard.get_string().size());
    check_shard_name(name, index);
    shards.emplace(std::string(tensor), name);
  }
  INKSTONE_CHECK(
      !shards.empty(), index.string(),
      ": its weight_map is empty: download it again, as safetensors where the model has them beside pickles");
  return shards;
}

std::string why_not_found(const fs::path& folder, const std::optional<std::string>& variant) {
  std::error_code ignored;
  if (!fs::is_directory(folder, ignored)) return "there is no folder " + folder.string();
  const std::string of = !variant ? "" : variant->empty() ? " without a variant" : " of the variant " + shown(*variant);
  std::string why = folder.string() + " has no weights" + of +
                    ": looked for model.safetensors or diffusion_pytorch_model.safetensors, pytorch_model.bin or "
                    "diffusion_pytorch_model.bin (also .fp16, .bf16, .non_ema, or shards with .index.json)";
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, ignored)) {
    const std::string name = entry.path().filename().string();
    if (name.find("-00001-of-") != std::string::npos) return why + "; " + shown(name) + " is a shard without its index";
    if (const fs::path kind = entry.path().extension(); kind == ".bin" || kind == ".ckpt" || kind == ".pt")
      return why + "; " + shown(name) + " has another name";
  }
  return why;
}

std::set<std::string> shards_of(const WeightMap& map, const fs::path& index) {
  std::set<std::string> names;
  for (const auto& [tensor, shard] : map) names.insert(shard);
  INKSTONE_CHECK(names.size() <= kMaxShards, index.string(), " names ", names.size(), " shards, at most ", kMaxShards,
                 " are read");
  return names;
}

}  // namespace

std::vector<WeightForm> weight_forms() { return forms_of({"model", "diffusion_pytorch_model"}, kSafetensors); }

bool is_weights_name(const std::filesystem::path& file) {
  constexpr std::string_view kKinds[] = {".safetensors", ".ckpt", ".pt", ".pth", ".bin"};
  return std::ranges::find(kKinds, file.extension().string()) != std::end(kKinds);
}

std::set<std::string> shard_names(const fs::path& index) { return shards_of(read_index(index), index); }

Weights Weights::open_index(const fs::path& index) {
  const WeightMap map = read_index(index);
  std::vector<fs::path> files;
  for (const std::string& name : shards_of(map, index)) {
    files.push_back(index.parent_path() / name);
    INKSTONE_CHECK(is_listed(files.back()), index.string(), " names the shard ", name,
                   ", which is not there: download it");
  }
  Weights weights = open_files(files);
  for (const auto& [tensor, shard] : map) {
    const auto found = weights.by_name_.find(tensor);
    const bool there =
        found != weights.by_name_.end()
            ? weights.files_[static_cast<size_t>(weights.entries_[found->second].file)]->path().filename() == shard
            : weights.unread_.contains(tensor);
    INKSTONE_CHECK(there, index.string(), ": the tensor ", shown(tensor), " is not in ", shard,
                   ", where the index says it is");
  }
  return weights;
}

Weights Weights::open(const fs::path& folder, const std::optional<std::string>& variant) {
  std::vector<WeightForm> forms = weight_forms();
  std::ranges::move(torch_forms(), std::back_inserter(forms));
  for (const WeightForm& form : forms) {
    const fs::path file = folder / form.file;
    if ((variant && form.variant != *variant) || !is_listed(file)) continue;
    Weights weights = form.index ? open_index(file) : open_files({file});
    weights.source_ = folder.string();
    return weights;
  }
  fail(INKSTONE_HERE, {why_not_found(folder, variant)});
}

Weights Weights::open_files(const std::vector<fs::path>& files) {
  Weights weights;
  if (!files.empty()) weights.source_ = files[0].string();
  for (const fs::path& file : files) weights.add_file(file);
  return weights;
}

}  // namespace inkstone
