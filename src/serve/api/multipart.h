// multipart/form-data by RFC 7578, read strictly: what two readers could understand differently is
// refused, and nothing is copied.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace inkstone::serve {

struct FormPart {
  std::string name;
  bool is_file = false;  // a file name is said, though perhaps an empty one
  std::string_view content;
};

bool is_form(std::string_view content_type);
// `body` outlives the parts. Throws ApiFault 400 for a body that is no such form, more than 128 parts, and a head of a
// part of more than 4 KiB.
std::vector<FormPart> parse_form(std::string_view body, std::string_view content_type);

}  // namespace inkstone::serve
