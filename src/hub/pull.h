// Brings a model from the hub into the cache, so that find_model() and huggingface_hub find it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "base/json_fwd.h"
#include "hub/choice.h"
#include "hub/download.h"
#include "hub/id.h"

namespace inkstone {

struct PullPlan {
  std::string commit;
  size_t files = 0;
  uint64_t bytes = 0;    // of all files
  uint64_t missing = 0;  // of what has yet to come
};

class ModelPullWatcher : public PullWatcher {
 public:
  virtual void planned(const PullPlan& plan) = 0;  // before the weights are downloaded
};

// What the program that reads the model says of it, before much is downloaded. They throw Error.
struct PullChecks {
  std::function<void(const Json& index, const std::string& source)> index;
  // All small files are in the folder, but for the model index.
  std::function<void(const std::filesystem::path& folder, const Json& index, const std::string& source)> small_files;
};

struct PullOrder {
  HubId id;
  WeightVariant variant = WeightVariant::kAuto;
  std::filesystem::path cache;
};

struct PullResult {
  PullPlan plan;
  std::filesystem::path folder;  // the snapshot
  uint64_t received = 0;         // bytes that came over the network
  // Weights that were asked for, and beside which others lie that are read before them.
  std::vector<std::string> hidden;
};

// Throws Error. The model index is the last file to appear in the snapshot, and the reference comes after it: a model that is not
// whole is not found as one.
PullResult pull_model(const PullOrder& order, HubClient& client, const PullChecks& checks, ModelPullWatcher& watcher);

}  // namespace inkstone
