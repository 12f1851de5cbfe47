#include "serve/api/fields.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/base64.h"
#include "base/error.h"
#include "base/json.h"
#include "base/random.h"
#include "base/spelling.h"
#include "base/utf8.h"
#include "serve/api/cut_texts.h"
#include "serve/api/fault.h"
#include "serve/api/multipart.h"

namespace inkstone::serve {
namespace {

constexpr size_t kMaxNames = 8;       // that one message lists
constexpr size_t kMaxJson = 1 << 20;  // around pictures
constexpr size_t kMaxDataHead = 256;  // of a data URL

std::string in_quotes(std::string_view text) { return "\"" + shown(text) + "\""; }

bool is_json(std::string_view content_type) {
  std::string type = lower(content_type.substr(0, content_type.find(';')));
  while (!type.empty() && type.back() == ' ') type.pop_back();
  return type == "application/json" || (type.starts_with("application/") && type.ends_with("+json"));
}

template <typename Number>
std::optional<Number> whole(std::string_view text) {
  Number value{};
  const char* end = text.data() + text.size();
  const auto [at, fault] = std::from_chars(text.data(), end, value);
  if (fault != std::errc() || at != end) return std::nullopt;
  return value;
}

// 42.0 is 42, as in JSON it should be.
std::optional<int64_t> whole_of(double value) {
  constexpr double kExact = 9007199254740992.0;  // 2^53
  if (!(std::abs(value) <= kExact) || value != std::floor(value)) return std::nullopt;
  return static_cast<int64_t>(value);
}

}  // namespace

Fields::Fields(JsonObject object, Manner manner)
    : object_(std::make_shared<JsonObject>(std::move(object))), manner_(manner) {}

Fields Fields::below(JsonObject object, Manner manner) const {
  Fields fields(std::move(object), manner);
  fields.long_texts_ = long_texts_;
  return fields;
}

Fields Fields::of_body(const http::Request& request, Manner manner) {
  Fields fields{JsonObject{}, manner};
  if (request.body.empty()) return fields;
  const std::string_view type = request.header("content-type");
  if (is_form(type)) {
    fields.read_form(request);
    return fields;
  }
  if (!is_json(type))
    refuse(415, "unsupported_media_type",
           "a body of type " + (type.empty() ? "\"\"" : in_quotes(type)) + "; it must be application/json");
  constexpr std::string_view kMark = "\xef\xbb\xbf";  // AUTOMATIC1111's parser passes over it
  std::string_view body = request.body;
  if (manner == Manner::kLenient && body.starts_with(kMark)) body.remove_prefix(kMark.size());
  fields.read_json(body);
  return fields;
}

void Fields::read_json(std::string_view body) {
  CutJson cut;
  if (body.size() > kLongText) {
    cut = cut_texts(body, kMaxJson);
    body = cut.rest;
    for (const std::string_view text : cut.texts) long_texts_.push_back({text});
  }
  Json json;
  try {
    json = parse_json(body, "body", kMaxOutsideValues);
  } catch (const Error& error) {
    refuse(400, "invalid_json", error.what());
  }
  if (!json.is_object()) refuse(400, "invalid_json", "body:1:1: must be a JSON object, as {\"prompt\": \"a fox\"}");
  *object_ = std::move(json.as_object());
}

// An empty file is what a browser sends where none was chosen.
void Fields::read_form(const http::Request& request) {
  is_form_ = true;
  for (const FormPart& part : parse_form(request.body, request.header("content-type"))) {
    if (part.is_file && part.content.empty()) continue;
    if (object_->contains(part.name))
      refuse(400, "invalid_value",
             in_quotes(part.name) + " stands twice in the form; " + (part.is_file ? "one is taken" : "say it once"),
             shown(part.name));
    if (part.is_file || part.content.size() > kLongText) {
      object_->emplace(part.name, '\0' + std::to_string(long_texts_.size()));
      long_texts_.push_back({part.content, part.is_file});
    } else {
      object_->emplace(part.name, part.content);
    }
  }
}

const Fields::LongText* Fields::marked(const Json& value) const {
  const auto* text = value.if_string();
  const auto number = text ? cut_text_number(*text, long_texts_.size()) : std::nullopt;
  return number ? &long_texts_[*number] : nullptr;
}

bool Fields::is_mark(const Json& value) const { return marked(value) != nullptr; }

void Fields::add_query(const http::Request& request) {
  for (const auto& [name, value] : request.query) {
    if (object_->contains(name)) {
      const bool twice = std::ranges::find(from_query_, name) != from_query_.end();
      refuse(400, "invalid_value",
             in_quotes(name) + (twice ? " stands twice in the query" : " stands in the query and in the body") +
                 "; say it once",
             shown(name));
    }
    object_->emplace(name, value);
    from_query_.push_back(name);
  }
}

void Fields::check_names(std::span<const FieldInfo> table) const {
  if (manner_ == Manner::kLenient) return;
  std::vector<std::string> known, unknown;
  for (const FieldInfo& field : table) known.emplace_back(field.name);
  for (const auto& [key, value] : *object_)
    if (std::ranges::find(known, std::string_view(key)) == known.end()) unknown.emplace_back(key);
  if (unknown.empty()) return;
  std::string message = unknown.size() == 1 ? "unknown field " : "unknown fields ";
  for (size_t i = 0; i < std::min(unknown.size(), kMaxNames); ++i) {
    message += (i > 0 ? ", " : "") + in_quotes(unknown[i]);
    if (const std::string meant = nearest(unknown[i], known); !meant.empty())
      message += " (did you mean " + in_quotes(meant) + "?)";
  }
  if (unknown.size() > kMaxNames) message += " and " + std::to_string(unknown.size() - kMaxNames) + " more";
  refuse(400, "unknown_parameter", message + "; known are: " + listed(known), shown(unknown.front()));
}

const Json* Fields::find(std::string_view name) const {
  const Json* value = object_->if_contains(name);
  if (value && value->is_null()) {
    if (manner_ == Manner::kStrict)
      refuse(400, "invalid_value", in_quotes(name) + " is null; leave it out for its default", std::string(name));
    return nullptr;
  }
  if (manner_ == Manner::kNullsAbsent && value && value->is_string() && value->as_string().empty()) return nullptr;
  return value;
}

void Fields::wrong(std::string_view name, const std::string& allowed) const {
  const Json* value = object_->if_contains(name);
  std::string text = "missing";
  if (const LongText* mark = value ? marked(*value) : nullptr)
    text = mark->is_file ? "a file" : "a text of " + std::to_string(mark->text.size()) + " bytes";
  else if (value)
    text = value->is_object() ? "an object" : value->is_array() ? "an array" : json_text(*value);
  refuse(400, "invalid_value", in_quotes(name) + " is " + shown(text) + "; it must be " + allowed, std::string(name));
}

bool Fields::is_text_number(std::string_view name, const Json& value) const {
  return value.is_string() && !marked(value) &&
         (is_form_ || manner_ != Manner::kStrict ||
          std::ranges::find(from_query_, std::string(name)) != from_query_.end());
}

std::optional<std::string> Fields::text(std::string_view name, size_t max_bytes) const {
  const Json* value = find(name);
  if (!value) return std::nullopt;
  const LongText* mark = marked(*value);
  if (!value->is_string() || (mark && mark->is_file)) wrong(name, "a text");
  if (mark) wrong(name, "shorter");
  const std::string_view text = value->as_string();
  if (text.size() > max_bytes)
    refuse(400, "invalid_value",
           in_quotes(name) + " has " + std::to_string(text.size()) + " bytes; at most " + std::to_string(max_bytes) +
               " are taken",
           std::string(name));
  return clean_utf8(text);
}

std::optional<int64_t> Fields::integer(std::string_view name, int64_t min, int64_t max, const std::string& rule) const {
  const Json* value = find(name);
  if (!value) return std::nullopt;
  std::optional<int64_t> result;
  if (value->is_int64()) result = value->as_int64();
  if (value->is_double()) result = whole_of(value->as_double());
  if (is_text_number(name, *value)) result = whole<int64_t>(value->as_string());
  if (!result || *result < min || *result > max)
    wrong(name, rule.empty() ? range_rule("a whole number", double(min), double(max)) : rule);
  return result;
}

std::optional<double> Fields::number(std::string_view name, double min, double max) const {
  const Json* value = find(name);
  if (!value) return std::nullopt;
  std::optional<double> result;
  if (value->is_number()) result = value->to_number<double>();
  if (is_text_number(name, *value)) result = whole<double>(value->as_string());
  if (!result || !std::isfinite(*result) || *result < min || *result > max)
    wrong(name, range_rule("a number", min, max));
  return result;
}

std::optional<std::pair<double, double>> Fields::interval(std::string_view name) const {
  const Json* value = find(name);
  if (!value) return std::nullopt;
  std::optional<double> from, to;
  if (const JsonArray* ends = value->if_array();
      ends && ends->size() == 2 && ends->at(0).is_number() && ends->at(1).is_number()) {
    from = ends->at(0).to_number<double>();
    to = ends->at(1).to_number<double>();
  } else if (is_text_number(name, *value)) {
    const std::string_view text = value->as_string();
    const size_t comma = std::min(text.find(','), text.size());
    from = whole<double>(text.substr(0, comma));
    to = whole<double>(text.substr(std::min(comma + 1, text.size())));
  }
  if (!from || !to || !std::isfinite(*from) || !std::isfinite(*to)) wrong(name, "two numbers, as [0.1, 0.8]");
  return std::pair(*from, *to);
}

std::optional<bool> Fields::flag(std::string_view name) const {
  const Json* value = find(name);
  if (!value) return std::nullopt;
  if (value->is_bool()) return value->as_bool();
  if (is_text_number(name, *value)) {
    const std::string word = lower(value->as_string());
    if (word == "true" || word == "1") return true;
    if (word == "false" || word == "0") return false;
  }
  if (manner_ == Manner::kLenient && value->is_int64() && (value->as_int64() | 1) == 1) return value->as_int64() == 1;
  wrong(name, "true or false");
}

std::optional<GivenFile> Fields::file(std::string_view name) const {
  const Json* value = find(name);
  if (!value) return std::nullopt;
  return file_in(name, *value);
}

std::vector<GivenFile> Fields::files(std::string_view name) const {
  std::vector<GivenFile> files;
  const Json* value = find(name);
  const JsonArray* list = value ? value->if_array() : nullptr;
  for (const Json& one : list ? *list : JsonArray{}) files.push_back(file_in(name, one));
  if (value && !list) files.push_back(file_in(name, *value));
  return files;
}

GivenFile Fields::file_in(std::string_view name, const Json& value) const {
  const auto refuse_it = [&](const char* allowed) {
    refuse(400, "invalid_value", in_quotes(name) + " must be " + allowed, std::string(name));
  };
  std::string_view text = value.is_string() ? std::string_view(value.as_string()) : std::string_view();
  if (const LongText* mark = marked(value)) {
    text = mark->text;
    if (mark->is_file) return {std::as_bytes(std::span(text)), nullptr, std::string(name)};
  }
  if (text.substr(0, 8).find("://") != text.npos) refuse_it("the image itself, in base64: no URL is fetched here");
  if (text.starts_with("data:")) {
    const size_t comma = text.substr(0, kMaxDataHead).find(',');
    const std::string_view head = text.substr(0, comma == text.npos ? 0 : comma);
    text = head.ends_with(";base64") ? text.substr(comma + 1) : std::string_view();
  }
  std::optional<std::string> bytes = unbase64(text);
  if (text.empty() || !bytes) refuse_it("an image in base64, as it is or in a data URL (data:image/png;base64,...)");
  return given_file(std::move(*bytes), std::string(name));
}

std::optional<std::string> Fields::choice(std::string_view name, std::span<const std::string_view> words) const {
  const Json* value = find(name);
  if (!value) return std::nullopt;
  const std::vector<std::string> list(words.begin(), words.end());
  if (value->is_string() && std::ranges::find(list, std::string_view(value->as_string())) != list.end())
    return std::string(value->as_string());
  wrong(name, "one of " + listed(list));
}

std::optional<uint64_t> Fields::seed(std::string_view name) const {
  const Json* value = find(name);
  if (!value) return std::nullopt;
  const std::string_view word = value->is_string() ? std::string_view(value->as_string()) : std::string_view();
  if (word == "random") return random_seed();
  std::optional<int64_t> small;
  if (value->is_uint64()) return value->as_uint64();
  if (value->is_int64()) small = value->as_int64();
  if (value->is_double()) small = whole_of(value->as_double());
  if (is_text_number(name, *value)) {
    if (const auto large = whole<uint64_t>(word)) return large;
    small = whole<int64_t>(word);
  }
  if (small == -1) return random_seed();
  if (!small || *small < 0)
    wrong(name,
          "a whole number from 0 to " + std::to_string(UINT64_MAX) + ", or -1 or \"random\" for one that is drawn");
  return static_cast<uint64_t>(*small);
}

}  // namespace inkstone::serve
