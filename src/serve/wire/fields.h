// Structs as JSON objects, each described once: `fields(visit, value)` names its members, and a
// FieldWriter or a FieldReader visits them. What is read must be exactly what was written: a field
// that is absent, of another type, out of range or unknown throws Error. Numbers keep every bit. A
// null stands for nothing, in a std::optional alone. Images and files are written as their sizes; the
// bytes of all, in order, are beside the text.
#pragma once

#include <cmath>
#include <concepts>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "base/error.h"
#include "base/given_file.h"
#include "base/image.h"
#include "base/json.h"

namespace inkstone::serve {

template <typename M, typename T>
concept Of = std::same_as<std::remove_const_t<M>, T>;

// Of an image of a message; throws Error for a size that none may have.
size_t pixel_bytes(int width, int height);

class FieldWriter {
 public:
  using Parts = std::vector<std::span<const uint8_t>>;  // beside the text
  template <typename T>
  void operator()(std::string_view name, const T& value) {
    object_[name] = json_of(value);
  }
  template <typename T>
  static JsonObject object_of(const T& value, Parts* parts = nullptr) {
    FieldWriter writer(parts);
    fields(writer, value);
    return std::move(writer.object_);
  }

 private:
  explicit FieldWriter(Parts* parts) : parts_(parts) {}

  Json json_of(const std::string& value) { return Json(value); }
  Json json_of(std::integral auto value) { return Json(value); }
  Json json_of(std::floating_point auto value) {
    INKSTONE_CHECK(std::isfinite(value), "a message: ", value, " is no number that can be sent");
    return Json(static_cast<double>(value));
  }
  Json json_of(const std::shared_ptr<const Json>& value) { return value ? *value : Json(); }
  Json json_of(const Image& value) {
    INKSTONE_CHECK(value.rgb.size() == pixel_bytes(value.width, value.height), "a message: an image of ", value.width,
                   "x", value.height, " with ", value.rgb.size(), " bytes");
    add({value.rgb.data(), value.rgb.size()});
    return JsonObject{{"width", value.width}, {"height", value.height}};
  }
  Json json_of(const GivenFile& value) {
    add({reinterpret_cast<const uint8_t*>(value.bytes.data()), value.bytes.size()});
    return JsonObject{{"source", value.source}, {"bytes", value.bytes.size()}};
  }
  void add(std::span<const uint8_t> part) {
    INKSTONE_CHECK(parts_, "a message: there is no place for an image");
    parts_->push_back(part);
  }
  template <typename T>
  Json json_of(const std::optional<T>& value) {
    return value ? json_of(*value) : Json();
  }
  template <typename T>
  Json json_of(const std::vector<T>& values) {
    JsonArray array;
    array.reserve(values.size());
    for (const T& value : values) array.push_back(json_of(value));
    return array;
  }
  template <typename T>
  requires std::is_class_v<T> Json json_of(const T& value) { return object_of(value, parts_); }

  JsonObject object_;
  Parts* parts_;
};

class FieldReader {
 public:
  using Beside = std::function<std::vector<uint8_t>(size_t bytes)>;  // the next ones beside the text

  template <typename T>
  void operator()(std::string_view name, T& value) {
    const Json* found = object_.if_contains(name);
    INKSTONE_CHECK(found, where_, ": there is no \"", name, "\"");
    ++read_;
    name_ = name;
    read(*found, value);
  }
  template <typename T>
  static void read_object(const JsonObject& object, T& value, const std::string& where, const Beside& beside = {}) {
    FieldReader reader(object, where, beside);
    fields(reader, value);
    INKSTONE_CHECK(reader.read_ == object.size(), where, ": ", object.size() - reader.read_, " unknown fields");
  }

 private:
  FieldReader(const JsonObject& object, const std::string& where, const Beside& beside)
      : object_(object), where_(where), beside_(beside) {}

  void check(bool holds, const char* what) const { INKSTONE_CHECK(holds, where_, ": \"", name_, "\" must be ", what); }
  void read(const Json& json, std::string& value) const {
    check(json.is_string(), "a text");
    value = std::string(json.get_string());
  }
  void read(const Json& json, bool& value) const {
    check(json.is_bool(), "true or false");
    value = json.get_bool();
  }
  template <std::integral T>
  void read(const Json& json, T& value) const {
    const bool negative = json.is_int64() && json.get_int64() < 0;
    check(json.is_int64() || json.is_uint64(), "a whole number");
    check(negative ? std::in_range<T>(json.get_int64())
                   : std::in_range<T>(json.is_uint64() ? json.get_uint64() : static_cast<uint64_t>(json.get_int64())),
          "a whole number in its range");
    value = negative           ? static_cast<T>(json.get_int64())
            : json.is_uint64() ? static_cast<T>(json.get_uint64())
                               : static_cast<T>(json.get_int64());
  }
  template <std::floating_point T>
  void read(const Json& json, T& value) const {
    check(json.is_number(), "a number");
    const double number = json.to_number<double>();
    check(std::abs(number) <= static_cast<double>(std::numeric_limits<T>::max()), "a number in its range");
    value = static_cast<T>(number);
  }
  void read(const Json& json, std::shared_ptr<const Json>& value) const { value = std::make_shared<const Json>(json); }
  void read(const Json& json, Image& image) const {
    check(json.is_object() && beside_, "an image");
    Size size;
    read_object(json.get_object(), size, where_);
    image = {size.width, size.height, beside_(pixel_bytes(size.width, size.height))};
  }
  void read(const Json& json, GivenFile& file) const {
    check(json.is_object() && beside_, "a file");
    FileSize size;
    read_object(json.get_object(), size, where_);
    const auto owner = std::make_shared<const std::vector<uint8_t>>(beside_(size.bytes));
    file = {std::as_bytes(std::span(*owner)), owner, std::move(size.source)};
  }
  template <typename T>
  void read(const Json& json, std::optional<T>& value) const {
    if (json.is_null()) return;  // as it began
    T item{};
    read(json, item);
    value = std::move(item);
  }
  template <typename T>
  void read(const Json& json, std::vector<T>& values) const {
    check(json.is_array(), "a list");
    values.clear();
    for (const Json& item : json.get_array()) read(item, values.emplace_back());
  }
  template <typename T>
  requires std::is_class_v<T>
  void read(const Json& json, T& value) const {
    check(json.is_object(), "an object");
    read_object(json.get_object(), value, where_ + "." + std::string(name_), beside_);
  }

  struct Size {
    int width = 0, height = 0;
  };
  struct FileSize {
    std::string source;
    size_t bytes = 0;
  };
  template <typename V, Of<FileSize> M>
  friend void fields(V& visit, M& size) {
    visit("source", size.source);
    visit("bytes", size.bytes);
  }
  template <typename V, Of<Size> M>
  friend void fields(V& visit, M& size) {
    visit("width", size.width);
    visit("height", size.height);
  }

  const JsonObject& object_;
  const std::string& where_;
  const Beside& beside_;
  std::string_view name_;
  size_t read_ = 0;
};

}  // namespace inkstone::serve
