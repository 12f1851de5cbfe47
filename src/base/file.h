// Files: read whole up to a limit, mapped read-only, or written under a temporary name and renamed.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>

namespace inkstone {

// Whether its folder lists it. A link to nothing is listed, too: who reads it is told what is lost.
bool is_listed(const std::filesystem::path& path);

// The path itself, or where it leads if it is a symbolic link: also a file that is not there yet. A
// link to a pipe or device stays as it is. Throws Error if links lead in a circle.
std::filesystem::path link_target(const std::filesystem::path& path);

// Which file it is, and whether it is still the same: its place, size, time of change, device and
// inode, in two lines. Throws Error where it is not there.
std::string file_state(const std::filesystem::path& path);

// The whole file; throws Error naming the file if it is missing, not a file, unreadable or larger
// than max_bytes.
std::string read_file(const std::filesystem::path& path, size_t max_bytes);

// A file mapped read-only and shared; the pages can be given back with release().
class MappedFile {
 public:
  MappedFile() = default;
  explicit MappedFile(const std::filesystem::path& path);
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();

  const std::filesystem::path& path() const { return path_; }
  std::span<const std::byte> bytes() const { return {data_, size_}; }
  // The pages that hold [begin, begin+length) leave this process's resident memory; reading them
  // again maps them anew.
  void release(size_t begin, size_t length) const;

 private:
  std::filesystem::path path_;
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
};

// Writes a temporary file in the same folder, syncs it and renames it onto path, or onto what path
// links to. A file that is replaced keeps its mode. On any failure (disk full, no such folder, no
// permission) it removes the temporary and throws Error with the path and the reason. Until the
// rename, unfinished_file() returns the temporary's name, so that a signal handler can unlink it.
void write_file(const std::filesystem::path& path, std::span<const std::byte> bytes);

// As write_file(), but piece by piece. While a FileWriter exists, write_file() and other writers
// wait.
class FileWriter {
 public:
  explicit FileWriter(const std::filesystem::path& path);
  ~FileWriter();  // removes what finish() did not complete
  void write(std::span<const std::byte> bytes);
  void finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

const char* unfinished_file();  // nullptr when none; async-signal-safe

}  // namespace inkstone
