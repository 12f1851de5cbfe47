// Base64 by RFC 4648, with padding and without line breaks.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace inkstone {

std::string base64(std::string_view bytes);

// Returns nothing if the text is not base64: a foreign character, padding missing or inside, bits
// that belong to no byte.
std::optional<std::string> unbase64(std::string_view text);

}  // namespace inkstone
