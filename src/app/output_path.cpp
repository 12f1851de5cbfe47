#include "app/output_path.h"

#include <sys/statvfs.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "app/byte_size.h"
#include "base/error.h"
#include "base/file.h"
#include "base/spelling.h"
#include "base/utf8.h"

namespace inkstone {
namespace {

namespace fs = std::filesystem;

// Letters of any script, roughly: no spaces, no punctuation, nothing that changes the direction of writing.
bool belongs_in_name(char32_t code) {
  struct Range {
    char32_t first, last;
  };
  constexpr std::array<Range, 7> kNot{{{0x80, 0xBF},
                                       {0x2000, 0x2BFF},
                                       {0x3000, 0x303F},
                                       {0xD800, 0xF8FF},
                                       {0xFE00, 0xFE6F},
                                       {0xFF00, 0xFF0F},
                                       {0xFFF0, 0x10FFFF}}};
  for (const Range& range : kNot)
    if (code >= range.first && code <= range.last) return false;
  if (code >= 0x80) return true;
  return (code >= '0' && code <= '9') || (code >= 'a' && code <= 'z');
}

fs::path named_by_prompt(const fs::path& folder, std::string_view prompt, uint64_t seed) {
  const std::string stem = name_of_prompt(prompt) + "-" + std::to_string(seed);
  std::error_code ignored;
  fs::path path = folder / (stem + ".png");
  for (int number = 2; fs::exists(fs::symlink_status(path, ignored)); ++number)
    path = folder / (stem + "-" + std::to_string(number) + ".png");
  return path;
}

}  // namespace

std::string name_of_prompt(std::string_view prompt) {
  constexpr size_t kMaxBytes = 60;
  const std::string text = lower(prompt);
  std::string name;
  bool gap = false;
  for (size_t at = 0; at < text.size();) {
    const char32_t code = next_code_point(text, at);
    if (!belongs_in_name(code)) {
      gap = !name.empty();
      continue;
    }
    std::string next = gap ? "-" : "";
    append_utf8(next, code);
    if (name.size() + next.size() > kMaxBytes) break;
    name += next;
    gap = false;
  }
  return name.empty() ? "image" : name;
}

fs::path image_path(const std::optional<std::string>& out, std::string_view prompt, uint64_t seed, bool several) {
  if (!out || names_folder(*out)) return named_by_prompt(out ? fs::path(*out) : fs::path(), prompt, seed);
  fs::path path(*out);
  if (several) path.replace_filename(path.stem().string() + "-" + std::to_string(seed) + path.extension().string());
  return link_target(path);  // the link stays, what it shows is written
}

bool names_folder(const std::string& out) {
  std::error_code ignored;
  return out.empty() || out.back() == '/' || fs::is_directory(out, ignored);
}

void make_last_folder(const std::string& out) {
  std::error_code ignored;
  if (out.ends_with('/') && !fs::exists(out, ignored)) fs::create_directory(fs::path(out).parent_path(), ignored);
}

void check_output_file(const fs::path& path, uint64_t bytes, bool no_clobber) {
  check_writable(path, bytes);
  std::error_code ignored;
  INKSTONE_CHECK(!no_clobber || !fs::exists(path, ignored), path.string(),
                 " is there, and --no-clobber keeps it: give --out another name");
}

void check_writable(const fs::path& path, uint64_t bytes) {
  const fs::path target = link_target(path), parent = target.parent_path();
  const fs::path folder = parent.empty() ? fs::path(".") : parent;
  std::error_code error;
  const fs::file_status status = fs::status(folder, error);
  INKSTONE_CHECK(fs::exists(status), "cannot write ", path.string(), ": the folder ", folder.string(),
                 error && error != std::errc::no_such_file_or_directory ? ": " + error.message()
                                                                        : " does not exist: make it first");
  INKSTONE_CHECK(fs::is_directory(status), "cannot write ", path.string(), ": ", folder.string(), " is not a folder");
  INKSTONE_CHECK(access(folder.c_str(), W_OK | X_OK) == 0, "cannot write ", path.string(), ": the folder ",
                 folder.string(), ": ", std::strerror(errno));
  const fs::file_status file = fs::status(path, error);
  INKSTONE_CHECK(!fs::exists(file) || fs::is_regular_file(file), "cannot write ", path.string(),
                 ": it is there and is no ordinary file");
  struct statvfs disk {};
  if (statvfs(folder.c_str(), &disk) != 0 || disk.f_blocks == 0) return;
  const uint64_t free = uint64_t{disk.f_bavail} * disk.f_frsize;
  INKSTONE_CHECK(free >= bytes, "cannot write ", path.string(), ": the disk has ", byte_text(free),
                 " left, and it may take ", byte_text(bytes));
}

}  // namespace inkstone
