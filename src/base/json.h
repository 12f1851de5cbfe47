// JSON documents with errors that say where: "unet/config.json:12:7: ...".
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "base/json_fwd.h"

namespace inkstone {

// Throws Error "source:line:column: what" for malformed text, a nesting over 64 levels, or
// duplicate keys, or more than `max_values` values and keys in all: a few bytes of text can be a
// value, which takes far more memory and time than the text.
Json parse_json(std::string_view text, const std::string& source, size_t max_values = SIZE_MAX);
// Of what comes from outside: a request, a message of a worker.
inline constexpr size_t kMaxOutsideValues = 10'000;
// Reads a file that we or others wrote, of at most a million values and keys. Python's json.dump writes bare
// NaN, Infinity and -Infinity (diffusers does for its DPM++ settings); these are read as the texts
// "NaN", "Infinity" and "-Infinity". A byte order mark is passed over.
Json read_json(const std::filesystem::path& path, size_t max_bytes = size_t{64} << 20);

// The document on one line. A double has the fewest digits that read back exactly, and always a
// point or an exponent ("0.1", "2.0"); NaN and infinity become null.
std::string json_text(const Json& value);

}  // namespace inkstone
