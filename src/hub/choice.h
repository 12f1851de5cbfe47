// Which files of a repository make up a model that Inkstone reads: those that Pipeline::open() opens, and of each
// component's weights one form.
#pragma once

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "hub/listing.h"

namespace inkstone {

inline constexpr const char* kModelIndex = "model_index.json";

enum class WeightVariant {
  kAuto,  // what is here already, else fp16 where there is one, else the full one, else what there is
  kFp16,
  kBf16,
  kNonEma,  // as the training left them, not averaged over it
  kNone     // the full one
};
std::optional<WeightVariant> weight_variant(std::string_view name);  // "auto", "fp16", "bf16", "non_ema", "none"

// The file that makes a repository a model in diffusers' layout. Throws Error that names the model and says what is there.
const HubFile& model_index_of(const HubListing& listing, const std::string& model);

struct ModelFiles {
  std::vector<const HubFile*> small;  // all but the model index and the weights; indexes of shards are among them
  std::vector<const HubFile*> weights;
  std::vector<const HubFile*> shard_indexes;  // of `small`: their shards are to be added by add_shards()
};

// Borrows from the listing. Throws Error that names the model and what is missing. `is_here` says whether a file was
// downloaded before.
ModelFiles choose_files(const HubListing& listing, const std::string& model, WeightVariant variant,
                        const std::function<bool(const HubFile&)>& is_here);

// The shards that an index in the folder of `index` names.
void add_shards(ModelFiles& files, const HubListing& listing, const HubFile& index, const std::set<std::string>& names);

}  // namespace inkstone
