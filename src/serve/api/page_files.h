// The files of src/serve/web, put into the program when it is built (cmake/embed.cmake).
#pragma once

#include <span>
#include <string_view>

namespace inkstone::serve {

struct PageFile {
  std::string_view name, bytes;
};
std::span<const PageFile> page_files();

}  // namespace inkstone::serve
