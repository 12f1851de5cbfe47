// API keys, from a file with lines NAME:KEY. Only digests stay in memory. A key is compared with
// all of them, in constant time.
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace inkstone::http {

class Keys {
 public:
  // No keys: anyone may use the server.
  Keys() = default;
  // Ignores empty lines and lines that begin with #. Throws Error that names file and line, never a
  // key.
  static Keys read(const std::filesystem::path& file);
  bool none() const { return entries_.empty(); }
  // "key:NAME" for "Bearer KEY" or "Basic base64(NAME:KEY)"; nothing if the key is not known.
  std::optional<std::string> client(std::string_view authorization) const;

 private:
  struct Entry {
    std::string name, digest;
  };
  std::vector<Entry> entries_;
};

// The answer to a wrong key is delayed, more for each further one from the same address.
class WrongKeys {
 public:
  using Clock = std::chrono::steady_clock;
  std::chrono::milliseconds delay(const std::string& address, Clock::time_point now);  // for one more wrong key

 private:
  struct Count {
    int wrong = 0;
    Clock::time_point last;
  };
  std::unordered_map<std::string, Count> counts_;
};

}  // namespace inkstone::http
