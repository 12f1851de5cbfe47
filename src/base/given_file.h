// A file that a caller gave: an image as it came, which nobody has decoded yet.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <span>
#include <string>

namespace inkstone {

struct GivenFile {
  std::span<const std::byte> bytes;
  std::shared_ptr<const void> owner;  // of the bytes
  std::string source;                 // what errors call it: a path, "mask"

  bool operator==(const GivenFile& other) const { return std::ranges::equal(bytes, other.bytes); }
};

inline GivenFile given_file(std::string content, std::string source) {
  const auto owner = std::make_shared<const std::string>(std::move(content));
  return {std::as_bytes(std::span(*owner)), owner, std::move(source)};
}

// A picture's file, whole. Throws Error naming it where it cannot be read, or is larger than any picture that
// read_picture() takes.
GivenFile read_given_picture(const std::string& path);

}  // namespace inkstone
