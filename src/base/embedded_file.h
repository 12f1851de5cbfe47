// Files that become part of the program when it is built (cmake/embed.cmake).
#pragma once

#include <span>
#include <string_view>

namespace inkstone {

struct EmbeddedFile {
  std::string_view name, bytes;  // the name without its folder
};

}  // namespace inkstone
