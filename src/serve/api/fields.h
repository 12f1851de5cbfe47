// What a request says, field by field, read strictly: every error names the field, its value and
// what is allowed. All readers give nothing where the field is not there and throw ApiFault (400)
// where it is wrong.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/given_file.h"
#include "base/json_fwd.h"
#include "serve/http/http.h"

namespace inkstone::serve {

// A row of an API's table, which its reader and /openapi.json share.
struct FieldInfo {
  std::string_view name;
  std::string_view type;  // "string", "integer", "number", "boolean", "array", "object"
  std::string about;
  std::string_view example;  // JSON that is accepted
};

enum class Manner {
  // A null is a fault, and in a body a text is no number.
  kStrict,
  // A null or an empty text is a field that is not there; a text may be a number.
  kNullsAbsent,
  // A null is a field that is not there; a text may be a number, and 0 and 1 are flags. Fields that
  // are not known are ignored, as is a byte order mark before the body.
  kLenient
};

class Fields {
 public:
  // Of a JSON body or a form, which outlives them; {} where there is none. What stands in a form is a
  // text or a file. Throws 415 for another content type, 400 for another JSON value and a part whose
  // name is there twice.
  static Fields of_body(const http::Request& request, Manner manner);
  Fields(JsonObject object, Manner manner);

  // Adds the query's, whose values are texts; refuses names that are there twice.
  void add_query(const http::Request& request);
  // Refuses all that are not in the table, with the names that were probably meant.
  void check_names(std::span<const FieldInfo> table) const;

  bool has(std::string_view name) const { return find(name) != nullptr; }
  // Null where it is not there, or counts as that.
  const Json* find(std::string_view name) const;
  std::optional<std::string> text(std::string_view name, size_t max_bytes) const;
  // `rule`: what a fault says of it, where that is not "a whole number from min to max".
  std::optional<int64_t> integer(std::string_view name, int64_t min, int64_t max, const std::string& rule = "") const;
  std::optional<double> number(std::string_view name, double min, double max) const;
  // [from, to]; in a query from,to.
  std::optional<std::pair<double, double>> interval(std::string_view name) const;
  std::optional<bool> flag(std::string_view name) const;
  // A form's file, or base64, as it is or in a data URL. No other URL is read. What it holds is decoded
  // nowhere here; spool() gives it an owner.
  std::optional<GivenFile> file(std::string_view name) const;
  // Of a list; one alone may stand without it.
  std::vector<GivenFile> files(std::string_view name) const;
  // Of a value somewhere below the field.
  GivenFile file_in(std::string_view name, const Json& value) const;
  // An object that stands below a field, read in the same body.
  Fields below(JsonObject object, Manner manner) const;
  // Of a value below any field: it is no more than a mark of a text that was too long to parse, or of a file.
  bool is_mark(const Json& value) const;
  std::optional<std::string> choice(std::string_view name, std::span<const std::string_view> words) const;
  // -1 and "random" are drawn, 32 bits long.
  std::optional<uint64_t> seed(std::string_view name) const;

  [[noreturn]] void wrong(std::string_view name, const std::string& allowed) const;  // names its value too
  const JsonObject& object() const { return *object_; }

 private:
  struct LongText {
    std::string_view text;
    bool is_file = false;  // the bytes themselves
  };
  bool is_text_number(std::string_view name, const Json& value) const;
  const LongText* marked(const Json& value) const;
  void read_form(const http::Request& request);
  void read_json(std::string_view body);

  std::shared_ptr<JsonObject> object_;  // shared by copies
  Manner manner_;
  bool is_form_ = false;  // all values are texts
  std::vector<std::string> from_query_;
  std::vector<LongText> long_texts_;  // in the object marks stand for them (cut_texts.h)
};

}  // namespace inkstone::serve
