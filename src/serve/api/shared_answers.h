// Answers that many may ask for: one that is still being read by somebody is not made again, and is
// in memory once. Without this a repeated Idempotency-Key, which passes no quota, would cost the
// making and the memory of a whole answer each time.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <unordered_map>

namespace inkstone::serve {

class SharedAnswers {
 public:
  // `key` names the answer and all that it depends on.
  std::shared_ptr<const std::string> of(const std::string& key, const std::function<std::string()>& make) {
    if (const auto known = answers_.find(key); known != answers_.end())
      if (auto text = known->second.lock()) return text;
    if (answers_.size() >= kMaxAnswers)
      std::erase_if(answers_, [](const auto& entry) { return entry.second.expired(); });
    auto text = std::make_shared<const std::string>(make());
    if (answers_.size() < kMaxAnswers) answers_[key] = text;
    return text;
  }

 private:
  static constexpr size_t kMaxAnswers = 1024;
  std::unordered_map<std::string, std::weak_ptr<const std::string>> answers_;
};

}  // namespace inkstone::serve
