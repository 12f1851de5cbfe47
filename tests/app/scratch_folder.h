// A folder for one test, gone after it.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace inkstone {

class ScratchFolder {
 public:
  ScratchFolder();
  ~ScratchFolder();
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  void write(const std::string& name, std::string_view text) const;  // makes its folders
  std::vector<std::string> names() const;                            // of what lies in it, sorted

 private:
  std::filesystem::path path_;
};

std::string text_of(const std::filesystem::path& path);  // "" where it cannot be read

}  // namespace inkstone
