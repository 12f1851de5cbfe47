// Reads a config.json key by key, with defaults. It remembers which keys were read, so that
// finish() can refuse keys that nobody understood.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "base/json_fwd.h"

namespace inkstone {

class ConfigReader {
 public:
  ConfigReader(const Json& json, std::string source);

  // The value, or the default if the key is missing or null. Throws Error naming file, key and
  // value for a wrong type or a number outside [least, most].
  int integer(const char* key, int otherwise, int least, int most);
  double number(const char* key, double otherwise);
  bool boolean(const char* key, bool otherwise);
  std::string text(const char* key, const std::string& otherwise);
  std::vector<std::string> texts(const char* key, std::vector<std::string> otherwise);
  // A list of `size` integers; one integer stands for `size` equal ones. size 0: any length from 1
  // to 16.
  std::vector<int> integers(const char* key, int otherwise, size_t size, int most);

  // The same, of which each may be a list of integers itself.
  std::vector<std::vector<int>> lists(const char* key, int otherwise, size_t size, int most);

  bool has(const char* key) const;      // there, and not null
  bool is_null(const char* key) const;  // there, and null
  bool is_list(const char* key) const;  // there, and a list
  // The key must be missing, null, or this value. Another value would change the model in a way
  // that is not supported.
  void only(const char* key, const Json& value);
  void ignore(std::initializer_list<const char*> keys);
  // Throws Error if a key was not read, unless its name begins with "_" or its value is null or
  // false.
  void finish() const;

  [[noreturn]] void refuse(const char* key, const std::string& why) const;
  const std::string& source() const { return source_; }

 private:
  const Json* find(const char* key);
  int element(const char* key, const Json& item, int most) const;  // of a list, from 1

  const JsonObject& object_;
  std::string source_;
  std::set<std::string> read_;
};

}  // namespace inkstone
