// Weights::open: which files of a component's folder hold its weights.
#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/json.h"
#include "base/utf8.h"
#include "weights/weight_files.h"
#include "weights/weights.h"

namespace inkstone {
namespace {

namespace fs = std::filesystem;

constexpr const char* kStems[] = {"model", "diffusion_pytorch_model"};
constexpr const char* kSingles[] = {".safetensors", ".fp16.safetensors"};
constexpr const char* kIndexes[] = {".safetensors.index.json", ".safetensors.index.fp16.json"};
// As torch.save writes them. They are looked for after all others.
constexpr const char* kTorchFiles[] = {"pytorch_model.bin", "pytorch_model.fp16.bin", "diffusion_pytorch_model.bin",
                                       "diffusion_pytorch_model.fp16.bin"};
constexpr size_t kMaxShards = 1000, kMaxIndexBytes = size_t{16} << 20;

// Shard names come from a file: a plain name of a safetensors file in the same folder, nothing
// else.
void check_shard_name(const std::string& name, const fs::path& index) {
  const bool plain =
      !name.empty() && name.size() <= 255 && name.find_first_of(std::string_view("/\\\0", 3)) == std::string::npos;
  INKSTONE_CHECK(plain && fs::path(name).extension() == ".safetensors" && name[0] != '.', index.string(),
                 ": the shard name \"", shown(name), "\" is not a plain name of a .safetensors file");
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
  INKSTONE_CHECK(!shards.empty(), index.string(), ": its weight_map is empty");
  return shards;
}

std::string why_not_found(const fs::path& folder) {
  std::error_code ignored;
  if (!fs::is_directory(folder, ignored)) return "there is no folder " + folder.string();
  std::string why = folder.string() +
                    " has no weights: looked for model.safetensors or diffusion_pytorch_model.safetensors (also .fp16, "
                    "or shards with "
                    ".index.json), pytorch_model.bin or diffusion_pytorch_model.bin (also .fp16)";
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, ignored))
    if (const fs::path kind = entry.path().extension(); kind == ".bin" || kind == ".ckpt" || kind == ".pt")
      return why + "; " + shown(entry.path().filename().string()) +
             " is a pickle of another name, or a shard, and shards are read as safetensors alone";
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

std::vector<WeightForm> weight_forms() {
  std::vector<WeightForm> forms;
  for (const std::string stem : kStems) {
    for (const bool fp16 : {false, true}) {
      forms.push_back({stem + kSingles[fp16], false, fp16});
      forms.push_back({stem + kIndexes[fp16], true, fp16});
    }
  }
  return forms;
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

Weights Weights::open(const fs::path& folder) {
  std::vector<WeightForm> forms = weight_forms();
  for (const char* file : kTorchFiles) forms.push_back({file, false, false});
  for (const WeightForm& form : forms) {
    const fs::path file = folder / form.file;
    if (!is_listed(file)) continue;
    Weights weights = form.index ? open_index(file) : open_files({file});
    weights.source_ = folder.string();
    return weights;
  }
  fail(INKSTONE_HERE, {why_not_found(folder)});
}

Weights Weights::open_files(const std::vector<fs::path>& files) {
  Weights weights;
  if (!files.empty()) weights.source_ = files[0].string();
  for (const fs::path& file : files) weights.add_file(file);
  return weights;
}

}  // namespace inkstone
