// EXIF is a TIFF file in small: "MM" or "II" for its byte order, 42, the place of a folder. A folder is the number of
// its entries, then of each tag (2 bytes), type (2), count (4), and value or its place (4).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace inkstone {

// Of any bytes: what is beyond the end is 0 or empty.
class Exif {
 public:
  // With the beginning "Exif\0\0" that files put before it, or without.
  explicit Exif(std::string_view block);

  int orientation() const;                // 1 to 8; 1 where it says nothing that can be
  std::string_view user_comment() const;  // 8 bytes that say its code, then the text; empty: there is none

 private:
  uint32_t number(size_t at, size_t size) const;
  // Where the entry of that tag begins, of the folder at a place.
  std::optional<size_t> entry(size_t folder, uint32_t tag) const;

  std::string_view bytes_;
  bool big_endian_ = false;
};

}  // namespace inkstone
