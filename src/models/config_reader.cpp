#include "models/config_reader.h"

#include "base/error.h"
#include "base/json.h"

namespace inkstone {
namespace {

const JsonObject& object_of(const Json& json, const std::string& source) {
  INKSTONE_CHECK(json.is_object(), source, ": the document is not an object");
  return json.get_object();
}

bool is_integer(const Json& value) { return value.is_int64() || value.is_uint64(); }

int64_t integer_of(const Json& value) {
  if (value.is_int64()) return value.get_int64();
  return value.get_uint64() > INT64_MAX ? INT64_MAX : static_cast<int64_t>(value.get_uint64());
}

}  // namespace

ConfigReader::ConfigReader(const Json& json, std::string source)
    : object_(object_of(json, source)), source_(std::move(source)) {}

void ConfigReader::refuse(const char* key, const std::string& why) const {
  const auto* value = object_.if_contains(key);
  std::string shown = value ? json_text(*value) : "missing";
  if (shown.size() > 80) shown = shown.substr(0, 77) + "...";
  fail(INKSTONE_HERE, {source_, ": \"", key, "\" is ", shown, ": ", why});
}

const Json* ConfigReader::find(const char* key) {
  read_.insert(key);
  const Json* value = object_.if_contains(key);
  return value && !value->is_null() ? value : nullptr;
}

bool ConfigReader::has(const char* key) const {
  const Json* value = object_.if_contains(key);
  return value && !value->is_null();
}

bool ConfigReader::is_null(const char* key) const {
  const Json* value = object_.if_contains(key);
  return value && value->is_null();
}

bool ConfigReader::is_list(const char* key) const {
  const Json* value = object_.if_contains(key);
  return value && value->is_array();
}

int ConfigReader::integer(const char* key, int otherwise, int least, int most) {
  const Json* value = find(key);
  if (!value) return otherwise;
  if (!is_integer(*value)) refuse(key, "an integer is wanted");
  const int64_t found = integer_of(*value);
  if (found < least || found > most)
    refuse(key, "it must be from " + std::to_string(least) + " to " + std::to_string(most));
  return static_cast<int>(found);
}

double ConfigReader::number(const char* key, double otherwise) {
  const Json* value = find(key);
  if (!value) return otherwise;
  if (!value->is_number()) refuse(key, "a number is wanted");
  return value->to_number<double>();
}

bool ConfigReader::boolean(const char* key, bool otherwise) {
  const Json* value = find(key);
  if (!value) return otherwise;
  if (!value->is_bool()) refuse(key, "true or false is wanted");
  return value->get_bool();
}

std::string ConfigReader::text(const char* key, const std::string& otherwise) {
  const Json* value = find(key);
  if (!value) return otherwise;
  if (!value->is_string()) refuse(key, "a string is wanted");
  return std::string(value->get_string());
}

std::vector<std::string> ConfigReader::texts(const char* key, std::vector<std::string> otherwise) {
  const Json* value = find(key);
  if (!value) return otherwise;
  if (!value->is_array()) refuse(key, "a list of strings is wanted");
  std::vector<std::string> out;
  for (const Json& item : value->get_array()) {
    if (!item.is_string()) refuse(key, "a list of strings is wanted");
    out.emplace_back(item.get_string());
  }
  if (out.empty() || out.size() > 16) refuse(key, "1 to 16 entries are wanted");
  return out;
}

int ConfigReader::element(const char* key, const Json& item, int most) const {
  if (!is_integer(item)) refuse(key, "integers are wanted");
  const int64_t found = integer_of(item);
  if (found < 1 || found > most) refuse(key, "each must be from 1 to " + std::to_string(most));
  return static_cast<int>(found);
}

std::vector<int> ConfigReader::integers(const char* key, int otherwise, size_t size, int most) {
  const Json* value = find(key);
  const auto checked = [&](const Json& item) { return element(key, item, most); };
  if (!value) return std::vector<int>(size, otherwise);
  if (is_integer(*value)) return std::vector<int>(std::max<size_t>(size, 1), checked(*value));
  if (!value->is_array()) refuse(key, "an integer or a list of integers is wanted");
  const JsonArray& items = value->get_array();
  if (size ? items.size() != size : items.empty() || items.size() > 16)
    refuse(key, size ? std::to_string(size) + " entries are wanted, one for each level" : "1 to 16 entries are wanted");
  std::vector<int> out;
  for (const Json& item : items) out.push_back(checked(item));
  return out;
}

std::vector<std::vector<int>> ConfigReader::lists(const char* key, int otherwise, size_t size, int most) {
  const Json* value = find(key);
  if (!value || !value->is_array() || value->get_array().size() != size) {
    std::vector<std::vector<int>> out;
    for (const int one : integers(key, otherwise, size, most)) out.push_back({one});
    return out;
  }
  std::vector<std::vector<int>> out;
  for (const Json& item : value->get_array()) {
    std::vector<int>& numbers = out.emplace_back();
    if (!item.is_array()) {
      numbers.push_back(element(key, item, most));
      continue;
    }
    for (const Json& one : item.get_array()) numbers.push_back(element(key, one, most));
    if (numbers.empty() || numbers.size() > 16) refuse(key, "lists of 1 to 16 entries are wanted");
  }
  return out;
}

void ConfigReader::only(const char* key, const Json& value) {
  const Json* found = find(key);
  if (!found || *found == value) return;
  if (found->is_number() && value.is_number() && found->to_number<double>() == value.to_number<double>()) return;
  refuse(key, "only " + json_text(value) + " is supported");
}

void ConfigReader::ignore(std::initializer_list<const char*> keys) { read_.insert(keys.begin(), keys.end()); }

void ConfigReader::finish() const {
  for (const auto& item : object_) {
    const std::string key(item.key());
    const bool harmless = key.starts_with("_") || item.value().is_null() || item.value() == Json(false);
    if (!harmless && !read_.contains(key)) refuse(key.c_str(), "this key is not known, and its value may matter");
  }
}

}  // namespace inkstone
