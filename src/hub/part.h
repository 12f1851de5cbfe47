// A file that is being downloaded: blobs/ETAG.incomplete, with the digest of what it has so far.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>

#include "hub/download.h"

namespace inkstone {

class HubPart {
 public:
  // Opens or makes it, and reads what is there. Throws Error that names the path.
  HubPart(std::filesystem::path path, const HubFile& file);
  ~HubPart();
  HubPart(const HubPart&) = delete;
  HubPart& operator=(const HubPart&) = delete;

  uint64_t size() const { return size_; }
  bool had_bytes() const { return had_bytes_; }  // some are of an earlier download
  void append(std::span<const std::byte> bytes);
  void clear();                                     // it is empty again
  bool is_right();                                  // once: whether it is the file, by the digest
  void move_to(const std::filesystem::path& blob);  // synced and renamed
  void remove();

 private:
  [[noreturn]] void fail_to_write() const;

  std::filesystem::path path_;
  const HubFile& file_;
  int descriptor_ = -1;
  uint64_t size_ = 0;
  bool had_bytes_ = false;
  std::optional<HubDigest> digest_;
};

// Held by one process at a time, as huggingface_hub does it (flock).
class HubLock {
 public:
  // Calls `busy` if another process has it, and waits.
  HubLock(const std::filesystem::path& path, const std::function<void()>& busy);
  ~HubLock();
  HubLock(const HubLock&) = delete;
  HubLock& operator=(const HubLock&) = delete;

 private:
  int descriptor_;
};

}  // namespace inkstone
