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

std::string why_not_read(int error, const fs::path& path) {
  std::error_code ignored;
  if (error != ENOENT || !fs::is_symlink(path, ignored)) return std::strerror(error);
  const std::string target = fs::read_symlink(path, ignored).string();
  // In Hugging Face's cache every file of a model is a link to a blob.
  const bool of_cache = target.find("blobs/") != std::string::npos;
  return "it is a link to " + target + ", which is not there" +
         (of_cache ? ": the cache has lost it, download the model again" : "");
}

OpenFile open_to_read(const fs::path& path) {
  // O_NONBLOCK: opening a pipe does not wait for its writer.
  OpenFile file{Descriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)), 0};
  struct stat status = {};
  const bool opened = file.descriptor >= 0 && ::fstat(file.descriptor, &status) == 0;
  const int error = errno;
  INKSTONE_CHECK(opened, "cannot read ", path.string(), ": ", why_not_read(error, path));
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
  explicit Temporary(fs::path target) : lock_(temporary_mutex), target_(std::move(target)) {}
  ~Temporary() {
    if (unfinished.load()) ::unlink(temporary_name);
    unfinished = nullptr;
  }
  // A process that was killed leaves its temporary, and in containers every process may have the
  // same number: a name that is taken is passed over.
  int create() {
    constexpr int kMostTaken = 10'000;
    struct stat old = {};
    const bool replaces = ::stat(target_.c_str(), &old) == 0;
    const mode_t mode = replaces ? old.st_mode & 0777 : 0666;
    int file = -1;
    for (int tried = 0; tried < kMostTaken && file < 0; ++tried) {
      choose_name();
      unfinished = temporary_name;
      file = ::open(temporary_name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
      if (file >= 0) break;
      unfinished = nullptr;  // not ours
      if (errno != EEXIST) return -1;
    }
    // Who could not read the old file cannot read the new one. Some file systems have no modes.
    if (file >= 0 && replaces) static_cast<void>(::fchmod(file, mode));
    return file;
  }
  bool rename_to_target() {
    if (::rename(temporary_name, target_.c_str()) != 0) return false;
    unfinished = nullptr;
    return true;
  }

 private:
  void choose_name() const {
    static unsigned counter = 0;
    fs::path path = target_.parent_path();
    path /= target_.filename().string().substr(0, 200) + ".tmp" + std::to_string(::getpid()) + "-" +
            std::to_string(counter++);
    INKSTONE_CHECK(path.native().size() < sizeof temporary_name, "cannot write ", target_.string(),
                   ": the path is too long");
    std::memcpy(temporary_name, path.c_str(), path.native().size() + 1);
  }

  std::lock_guard<std::mutex> lock_;
  fs::path target_;
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

bool is_listed(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(fs::symlink_status(path, ignored));
}

fs::path link_target(const fs::path& path) {
  constexpr int kMostLinks = 40;  // as Linux
  fs::path target = path;
  std::error_code ignored;
  for (int links = 0; fs::is_symlink(target, ignored); ++links) {
    INKSTONE_CHECK(links < kMostLinks, path.string(), " is a link that leads to no file, only to more links");
    // The text of a link in /proc/self/fd, where /dev/stdout leads, may be no path: "pipe:[4711]".
    if (fs::is_other(target, ignored)) return target;
    // An absolute path replaces all before it.
    target = target.parent_path() / fs::read_symlink(target);
  }
  return target;
}

std::string file_state(const fs::path& path) {
  struct stat status {};
  INKSTONE_CHECK(stat(path.c_str(), &status) == 0, path.string(), ": cannot be read: ", std::strerror(errno));
  return fs::weakly_canonical(path).string() + "\n" + std::to_string(status.st_size) + " " +
         std::to_string(status.st_mtim.tv_sec) + "." + std::to_string(status.st_mtim.tv_nsec) + " " +
         std::to_string(status.st_dev) + ":" + std::to_string(status.st_ino) + "\n";
}

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
  const fs::path target = link_target(path);  // a link stays
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
  state_->check(sync(state_->file) && state_->file.close() && state_->temporary.rename_to_target());
  state_.reset();
}

void write_file(const fs::path& path, std::span<const std::byte> bytes) {
  FileWriter file(path);
  file.write(bytes);
  file.finish();
}

const char* unfinished_file() { return unfinished.load(); }

}  // namespace inkstone
