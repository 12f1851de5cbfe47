// The last few values made, by key: the one used longest ago makes room for the next.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>

namespace inkstone {

template <typename Key, typename T>
class LruCache {
 public:
  explicit LruCache(size_t most) : most_(most) {}

  // nullptr where it is not kept. What it points to stays until a put() drops it.
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
