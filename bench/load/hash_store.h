// What each request's images were: the same request must give the same pixels, whenever and beside
// whomever it ran.
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace inkstone {

// SHA-256 of size and pixels of a PNG; throws Error where it is none.
std::string pixel_hash(std::string_view png);

class HashStore {
 public:
  enum class Verdict { kNew, kSame, kDifferent };
  // kNew is kept: the first seen is what later ones are held against.
  Verdict check(const std::string& key, const std::string& hash);
  // JSON: {key: hash}; Error where one contradicts what is here.
  void read(const std::string& path);
  void write(const std::string& path) const;
  size_t size() const { return hashes_.size(); }

 private:
  std::map<std::string, std::string> hashes_;
};

}  // namespace inkstone
