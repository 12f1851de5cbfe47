// The one table of a request's fields. The command line, the config file, the APIs, the messages to
// workers, reports, the text in a PNG and /openapi.json all walk it.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/error.h"
#include "diffusion/image_request.h"

namespace inkstone {

using RequestMember =
    std::variant<std::optional<std::string> ImageRequest::*, std::optional<uint64_t> ImageRequest::*,
                 std::optional<int> ImageRequest::*, std::optional<float> ImageRequest::*,
                 std::optional<Interval> ImageRequest::*, std::optional<bool> ImageRequest::*,
                 std::optional<GivenFile> ImageRequest::*, std::optional<std::vector<ControlUse>> ImageRequest::*>;

// The group of the fields of a picture that an image begins with.
inline constexpr std::string_view kFromPicture = "From a picture";
// Of those of pictures that nothing is drawn on, which no command line and none of our own routes take.
inline constexpr std::string_view kEnlarging = "Enlarging";

struct RequestField {
  const char* name;  // in JSON, as diffusers calls it: "num_inference_steps"
  const char* flag;  // of the command line and of a config file, without "--": "steps"
  // What other programs call the flag: words with spaces between them; one letter is a short flag.
  const char* aliases;
  const char* group;  // its heading in the help
  const char* value;  // how the help calls its value; "" for a switch
  const char* about;  // may have several lines
  // What is added to it in the help, and in the API's description.
  const char *on_command_line, *over_http;
  const char* example;  // JSON that every model takes
  RequestMember member;
  double min = 0, max = 0;                          // of a number
  std::vector<std::string> (*choices)() = nullptr;  // of a text: what it may be
  bool planned = false;                             // info and bench take it too, for their plan of the memory
  const char* infotext = nullptr;                   // its name in a PNG's text; there where it changes the image
};

std::span<const RequestField> request_fields();
const RequestField& request_field(const RequestMember& member);
const RequestField* find_request_field(std::string_view name);  // nullptr: there is none

bool is_set(const RequestField& field, const ImageRequest& request);
// As a command line writes it; "" where it is not set.
std::string value_text(const RequestField& field, const ImageRequest& request);
// What the field's type and range allow: "a whole number from 1 to 1000". `max`: a smaller limit.
std::string allowed(const RequestField& field, std::optional<double> max = {});

// A value of a request that cannot be. what() is for people without a door of their own.
class RequestError : public UsageError {
 public:
  // `rule` ends the sentence "it must be ...".
  static RequestError rule(const RequestField& field, const std::string& value, const std::string& rule);
  // A whole sentence, for what is wrong with several fields together.
  static RequestError sentence(const RequestField& field, const std::string& value, const std::string& text);

  const RequestField& field() const { return *field_; }
  const std::string& value() const { return value_; }
  const std::string& rule() const { return rule_; }  // "" where it is a sentence

 private:
  RequestError(const RequestField& field, std::string value, std::string rule, const std::string& text)
      : UsageError(text), field_(&field), value_(std::move(value)), rule_(std::move(rule)) {}
  const RequestField* field_;
  std::string value_, rule_;
};

// Throws RequestError where a value that is set is out of the field's range or not one of its
// choices. `max`: a smaller limit.
void check_field(const RequestField& field, const ImageRequest& request, std::optional<double> max = {});

}  // namespace inkstone
