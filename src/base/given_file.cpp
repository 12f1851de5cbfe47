#include "base/given_file.h"

#include "base/file.h"

namespace inkstone {

GivenFile read_given_picture(const std::string& path) {
  constexpr size_t kMostBytes = size_t{1} << 30;  // 2^26 pixels of 8 bytes, and as much beside them
  return given_file(read_file(path, kMostBytes), path);
}

}  // namespace inkstone
