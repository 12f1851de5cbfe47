// Which models (with their adapters) a device has in memory, and how long it takes to bring in
// another.
#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace inkstone::serve {

class LoadedModels {
 public:
  // As the device says. Until it has said anything, all count as loaded.
  void set(const std::vector<std::string>& models) { loaded_.emplace(models.begin(), models.end()); }
  void took(const std::string& model, double seconds) {
    constexpr size_t kMost = 256;
    if (seconds_.size() >= kMost) seconds_.clear();
    seconds_[model] = seconds;
  }
  bool has(const std::string& model) const { return !loaded_ || loaded_->contains(model); }
  // Until it can run: none where it is there; else what it took last, or what the dearest took.
  double seconds(const std::string& model) const {
    if (has(model)) return 0;
    if (const auto known = seconds_.find(model); known != seconds_.end()) return known->second;
    double dearest = 0;
    for (const auto& [other, seconds] : seconds_) dearest = std::max(dearest, seconds);
    return dearest;
  }

 private:
  std::optional<std::set<std::string>> loaded_;
  std::map<std::string, double> seconds_;
};

}  // namespace inkstone::serve
