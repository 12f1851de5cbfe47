#include "atc/om_info.h"

#include <charconv>

namespace inkstone {
namespace {

uint64_t number_in(std::string_view text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() ? value : 0;
}

std::string_view bracketed(std::string_view line, std::string_view name) {  // name[value]
  const size_t at = line.find(name);
  if (at == line.npos) return {};
  const std::string_view rest = line.substr(at + name.size());
  return rest.substr(0, rest.find(']'));
}

std::string_view cut_word(std::string_view& text) {
  const size_t end = std::min(text.find(' '), text.size());
  const std::string_view word = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return word;
}

// Whether the name stays inside the folder, whatever the file says.
bool is_inside(std::string_view name) {
  return !name.empty() && name.front() != '/' && name.find("..") == name.npos && name.find('\0') == name.npos;
}

}  // namespace

OmInfo parse_om_info(std::string_view text) {
  OmInfo info;
  while (!text.empty()) {
    const size_t end = std::min(text.find_first_of("\r\n"), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.starts_with("system ")) {
      info.soc = bracketed(line, "soc_version[");
      info.atc = bracketed(line, "atc_version[");
    } else if (line.starts_with("resource ")) {
      info.work_bytes = number_in(bracketed(line, "memory_size["));
      info.weight_bytes = number_in(bracketed(line, "weight_size["));
    } else {
      const std::string_view key = cut_word(line);
      if (key == "recipe") info.recipe = line;
      if (key == "cann") info.cann = line;
      if (key != "file") continue;
      FileRecord file;
      file.sha256 = cut_word(line);
      file.bytes = number_in(cut_word(line));
      file.file = line;
      if (is_inside(file.file)) info.files.push_back(std::move(file));
    }
  }
  return info;
}

std::string own_lines(const OmInfo& info) {
  std::string text = "recipe " + info.recipe + "\ncann " + info.cann + "\n";
  for (const FileRecord& file : info.files)
    text += "file " + file.sha256 + " " + std::to_string(file.bytes) + " " + file.file + "\n";
  return text;
}

}  // namespace inkstone
