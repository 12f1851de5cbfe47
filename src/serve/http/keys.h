// API keys, from a file with lines NAME:KEY. Only digests stay in memory. A key is compared with
// each of them, in constant time.
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
  // Empty lines and lines that begin with # say nothing. Error names file and line, never a key.
  static Keys read(const std::filesystem::path& file);
  bool none() const { return entries_.empty(); }
  // "key:NAME" for "Bearer KEY", "user:NAME" for "Basic base64(NAME:KEY)"; nothing where the key is
  // not known.
  std::optional<std::string> client(std::string_view authorization) const;

 private:
  struct Entry {
    std::string name, digest;
  };
  std::vector<Entry> entries_;
};

// Wrong keys are answered late, later with each one from the same address.
class WrongKeys {
 public:
  using Clock = std::chrono::steady_clock;
  std::chrono::milliseconds delay(const std::string& address, Clock::time_point now);  // of one more wrong key

 private:
  struct Count {
    int wrong = 0;
    Clock::time_point last;
  };
  std::unordered_map<std::string, Count> counts_;
};

}  // namespace inkstone::http
