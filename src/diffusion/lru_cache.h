// Keeps the last few values by key. A new value replaces the one that was used longest ago.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>

namespace inkstone {

template <typename Key, typename T>
class LruCache {
 public:
  explicit LruCache(size_t most) : most_(most) {}

  // nullptr if there is none. The pointer is valid until a put() drops the value.
  const T* find(const Key& key) {
    const auto found = entries_.find(key);
    if (found == entries_.end()) return nullptr;
    found->second.used = ++clock_;
    return &found->second.value;
  }

  const T& put(const Key& key, T value) {
    const auto older = [](const auto& a, const auto& b) { return a.second.used < b.second.used; };
    if (entries_.size() >= most_ && !entries_.contains(key)) entries_.erase(std::ranges::min_element(entries_, older));
    return entries_.insert_or_assign(key, Entry{std::move(value), ++clock_}).first->second.value;
  }

  void clear() { entries_.clear(); }
  size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    T value;
    uint64_t used;
  };
  size_t most_;
  uint64_t clock_ = 0;
  std::map<Key, Entry> entries_;
};

}  // namespace inkstone
