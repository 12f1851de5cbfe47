#include "hub/part.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>
#include <vector>

#include "base/error.h"

namespace inkstone {
namespace {

namespace fs = std::filesystem;

constexpr size_t kReadBytes = 1 << 20;

void make_parent(const fs::path& path) {
  std::error_code error;
  fs::create_directories(path.parent_path(), error);
  INKSTONE_CHECK(!error, "cannot make the folder ", path.parent_path().string(), ": ", error.message());
}

}  // namespace

HubPart::HubPart(fs::path path, const HubFile& file) : path_(std::move(path)), file_(file), digest_(file) {
  make_parent(path_);
  descriptor_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
  INKSTONE_CHECK(descriptor_ >= 0, "cannot write ", path_.string(), ": ", std::strerror(errno));
  std::vector<std::byte> bytes(kReadBytes);
  while (true) {
    const ssize_t got = ::read(descriptor_, bytes.data(), bytes.size());
    if (got < 0 && errno == EINTR) continue;
    INKSTONE_CHECK(got >= 0, "cannot read ", path_.string(), ": ", std::strerror(errno));
    if (got == 0) break;
    size_ += static_cast<uint64_t>(got);
    if (size_ > file_.size) break;
    digest_->add(std::span(bytes).first(static_cast<size_t>(got)));
  }
  if (size_ > file_.size) clear();
  had_bytes_ = size_ > 0;
}

HubPart::~HubPart() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void HubPart::fail_to_write() const {
  const int error = errno;
  const bool full = error == ENOSPC || error == EDQUOT;
  fail(INKSTONE_HERE, {"cannot write ", path_.string(), ": ",
                       full ? "the disk is full" : static_cast<const char*>(std::strerror(error))});
}

void HubPart::append(std::span<const std::byte> bytes) {
  digest_->add(bytes);
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) fail_to_write();
    size_ += static_cast<uint64_t>(written);
    bytes = bytes.subspan(static_cast<size_t>(written));
  }
}

void HubPart::clear() {
  if (::ftruncate(descriptor_, 0) != 0 || ::lseek(descriptor_, 0, SEEK_SET) != 0) fail_to_write();
  size_ = 0;
  had_bytes_ = false;
  digest_.emplace(file_);
}

bool HubPart::is_right() { return size_ == file_.size && digest_->text() == file_.digest; }

void HubPart::move_to(const fs::path& blob) {
  // Some file systems have no sync.
  const bool synced = ::fsync(descriptor_) == 0 || errno == EINVAL || errno == ENOTSUP;
  if (!synced || ::rename(path_.c_str(), blob.c_str()) != 0) fail_to_write();
}

void HubPart::remove() { ::unlink(path_.c_str()); }

HubLock::HubLock(const fs::path& path, const std::function<void()>& busy) {
  make_parent(path);
  descriptor_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  INKSTONE_CHECK(descriptor_ >= 0, "cannot write ", path.string(), ": ", std::strerror(errno));
  if (::flock(descriptor_, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) return;  // or there are no locks here
  busy();
  while (::flock(descriptor_, LOCK_EX) != 0 && errno == EINTR) {
  }
}

HubLock::~HubLock() { ::close(descriptor_); }

}  // namespace inkstone
