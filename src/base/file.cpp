#include "base/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <climits>
#include <cstring>
#include <mutex>
#include <utility>

#include "base/error.h"

namespace inkstone {
namespace {

namespace fs = std::filesystem;

class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  operator int() const { return number_; }
  bool close() { return ::close(std::exchange(number_, -1)) == 0; }

 private:
  int number_;
};

struct OpenFile {
  Descriptor descriptor;
  size_t size;
};

OpenFile open_to_read(const fs::path& path) {
  // O_NONBLOCK: opening a pipe does not wait for its writer.
  OpenFile file{Descriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)), 0};
  struct stat status = {};
  INKSTONE_CHECK(file.descriptor >= 0 && ::fstat(file.descriptor, &status) == 0, "cannot read ", path.string(), ": ",
                 std::strerror(errno));
  INKSTONE_CHECK(!S_ISDIR(status.st_mode), "cannot read ", path.string(), ": it is a folder");
  INKSTONE_CHECK(S_ISREG(status.st_mode), "cannot read ", path.string(), ": it is not a regular file");
  file.size = static_cast<size_t>(status.st_size);
  return file;
}

// The one temporary that is being written; its name lives in a buffer that a signal handler may
// read at any time.
std::mutex temporary_mutex;
char temporary_name[PATH_MAX];
std::atomic<const char*> unfinished = nullptr;

// Removes the temporary unless it was renamed.
class Temporary {
 public:
  explicit Temporary(const fs::path& target) : lock_(temporary_mutex) {
    static unsigned counter = 0;
    fs::path path = target.parent_path();
    path /= target.filename().string().substr(0, 200) + ".tmp" + std::to_string(::getpid()) + "-" +
            std::to_string(counter++);
    INKSTONE_CHECK(path.native().size() < sizeof temporary_name, "cannot write ", target.string(),
                   ": the path is too long");
    std::memcpy(temporary_name, path.c_str(), path.native().size() + 1);
  }
  ~Temporary() {
    if (unfinished.load()) ::unlink(temporary_name);
    unfinished = nullptr;
  }
  int create() {
    unfinished = temporary_name;
    const int number = ::open(temporary_name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (number < 0) unfinished = nullptr;  // not ours
    return number;
  }
  bool rename_to(const fs::path& target) {
    if (::rename(temporary_name, target.c_str()) != 0) return false;
    unfinished = nullptr;
    return true;
  }

 private:
  std::lock_guard<std::mutex> lock_;
};

std::string why_not_written(int error, const fs::path& target, size_t size) {
  const fs::path folder = target.has_parent_path() ? target.parent_path() : fs::path(".");
  if (error == ENOSPC || error == EDQUOT)
    return "the disk is full (" + std::to_string(size) + " bytes were to be written)";
  if (error == EFBIG) return "more bytes than a file may have here (" + std::to_string(size) + ")";
  std::error_code ignored;
  if (error == ENOENT && !fs::exists(folder, ignored)) return "there is no folder " + folder.string();
  return std::strerror(error);
}

bool write_all(int file, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(file, bytes.data(), std::min<size_t>(bytes.size(), 1 << 30));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    bytes = bytes.subspan(static_cast<size_t>(written));
  }
  return true;
}

// Some file systems have no sync; that is not a failure to write.
bool sync(int file) { return ::fsync(file) == 0 || errno == EINVAL || errno == ENOTSUP || errno == EROFS; }

}  // namespace

std::string read_file(const fs::path& path, size_t max_bytes) {
  const OpenFile file = open_to_read(path);
  std::string text;
  // one more than the file claims, to see its end; files of /proc claim 0
  size_t wanted = file.size + 1;
  while (true) {
    INKSTONE_CHECK(text.size() <= max_bytes && file.size <= max_bytes, path.string(), " has ",
                   std::max(text.size(), file.size), " bytes or more, at most ", max_bytes, " are read");
    const size_t had = text.size();
    text.resize(had + wanted);
    ssize_t got = 0;
    do got = ::read(file.descriptor, text.data() + had, wanted);
    while (got < 0 && errno == EINTR);
    INKSTONE_CHECK(got >= 0, "cannot read ", path.string(), ": ", std::strerror(errno));
    text.resize(had + static_cast<size_t>(got));
    if (got == 0) return text;
    wanted = std::max<size_t>(4096, had + wanted - text.size());
  }
}

MappedFile::MappedFile(const fs::path& path) : path_(path) {
  const OpenFile file = open_to_read(path);
  if (file.size == 0) return;  // nothing to map
  void* data = ::mmap(nullptr, file.size, PROT_READ, MAP_SHARED, file.descriptor, 0);
  INKSTONE_CHECK(data != MAP_FAILED, "cannot map ", path.string(), " (", file.size, " bytes): ", std::strerror(errno));
  data_ = static_cast<const std::byte*>(data);
  size_ = file.size;
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)), data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

MappedFile::~MappedFile() {
  if (data_) ::munmap(const_cast<std::byte*>(data_), size_);
}

void MappedFile::release(size_t begin, size_t length) const {
  const size_t page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  begin = std::min(begin, size_);
  const size_t end = begin + std::min(length, size_ - begin);
  const size_t first = begin / page * page, last = (end + page - 1) / page * page;
  if (first < last) ::madvise(const_cast<std::byte*>(data_) + first, last - first, MADV_DONTNEED);
}

struct FileWriter::State {
  State(const fs::path& asked, const fs::path& to) : path(asked), target(to), temporary(to), file(temporary.create()) {
    check(file >= 0);
  }
  void check(bool done) const {
    const int error = errno;
    INKSTONE_CHECK(done, "cannot write ", path.string(), ": ", why_not_written(error, target, size));
  }

  fs::path path, target;
  Temporary temporary;
  Descriptor file;
  size_t size = 0;
};

FileWriter::FileWriter(const fs::path& path) {
  std::error_code ignored;
  const bool link = fs::is_symlink(path, ignored);
  // A symbolic link stays; its target is replaced.
  const fs::path target = link ? fs::weakly_canonical(path, ignored) : path;
  INKSTONE_CHECK(!target.filename().empty() && !fs::is_directory(target, ignored), "cannot write ", path.string(),
                 ": it is a folder");
  INKSTONE_CHECK(!fs::exists(target, ignored) || fs::is_regular_file(target, ignored), "cannot write ", path.string(),
                 ": it is not a regular file");
  state_ = std::make_unique<State>(path, target);
}

FileWriter::~FileWriter() = default;

void FileWriter::write(std::span<const std::byte> bytes) {
  state_->size += bytes.size();
  state_->check(write_all(state_->file, bytes));
}

void FileWriter::finish() {
  state_->check(sync(state_->file) && state_->file.close() && state_->temporary.rename_to(state_->target));
  state_.reset();
}

void write_file(const fs::path& path, std::span<const std::byte> bytes) {
  FileWriter file(path);
  file.write(bytes);
  file.finish();
}

const char* unfinished_file() { return unfinished.load(); }

}  // namespace inkstone
