// Amounts of memory as people write them: "2GiB", "512 MiB", "1.5GB", "1073741824".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace inkstone {

struct ByteSize {
  uint64_t bytes = 0;
};

// Throws UsageError that begins with `subject` and lists the forms; 0 and more than 2^63 bytes are refused.
ByteSize parse_byte_size(std::string_view text, const std::string& subject);

// What somebody meant who left the unit out: "2" -> "2GiB", "800" -> "800MiB"; "" if `text` has a
// unit or is too long to be that.
std::string larger_size(std::string_view text);

std::string byte_text(uint64_t bytes);  // "2.94 GiB", "512 MiB", "12.5 KiB", "7 bytes"

}  // namespace inkstone
