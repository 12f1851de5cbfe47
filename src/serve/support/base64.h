// Base64 by RFC 4648, with padding and without line breaks.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace inkstone::serve {

std::string base64(std::string_view bytes);

// Nothing where the text is not base64: a strange character, padding missing or inside, bits that
// no byte holds.
std::optional<std::string> unbase64(std::string_view text);

}  // namespace inkstone::serve
