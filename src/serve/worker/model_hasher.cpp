#include "serve/worker/model_hasher.h"

#include <sys/resource.h>

#include <algorithm>
#include <fstream>
#include <optional>
#include <span>
#include <utility>

#include "base/cache_folder.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/file.h"
#include "serve/support/log.h"

namespace inkstone::serve {
namespace {

namespace fs = std::filesystem;

constexpr size_t kHashDigits = 64, kPiece = size_t{1} << 20;

// Which files, and whether they are still the same.
std::string state_of(const std::vector<fs::path>& files) {
  std::string text;
  for (const fs::path& file : files) text += file_state(file);
  return text;
}

std::optional<std::string> kept_hash(const std::vector<fs::path>& files, const fs::path& cache) {
  if (cache.empty()) return {};
  try {
    const std::string kept = read_file(cache / sha256(state_of(files)), kHashDigits);
    if (kept.size() == kHashDigits && kept.find_first_not_of("0123456789abcdef") == std::string::npos) return kept;
  } catch (const Error&) {  // it is not there
  }
  return {};
}

// Read, not mapped: these pages are not to count as this process's. Nothing where it was stopped.
std::optional<std::string> hash_of(const std::vector<fs::path>& files, const std::function<bool()>& stopped) {
  Digest digest;
  std::vector<char> piece(kPiece);
  for (const fs::path& path : files) {
    std::ifstream file(path, std::ios::binary);
    while (file.read(piece.data(), kPiece), file.gcount() > 0) {
      digest.add(std::as_bytes(std::span(piece).first(static_cast<size_t>(file.gcount()))));
      if (stopped()) return {};
    }
    INKSTONE_CHECK(file.eof(), path.string(), ": cannot be read to its end");
  }
  return digest.text();
}

std::optional<std::string> make_hash(const std::vector<fs::path>& files, const fs::path& cache,
                                     const std::function<bool()>& stopped) {
  const std::string state = state_of(files);
  std::optional<std::string> hash = hash_of(files, stopped);
  if (!hash || cache.empty()) return hash;
  try {
    std::error_code ignored;
    fs::create_directories(cache, ignored);
    write_file(cache / sha256(state), std::as_bytes(std::span(*hash)));
  } catch (const Error&) {  // a cache that cannot be written is none
  }
  return hash;
}

}  // namespace

fs::path default_hash_cache() { return cache_folder("hashes"); }

std::vector<fs::path> weight_files(const Pipeline& model) {
  const auto replaced = model.replaced.find("unet");
  const bool whole = replaced == model.replaced.end();
  const fs::path place = whole ? model.path : replaced->second;
  if (!fs::is_directory(place)) return {place};
  const fs::path folder = whole ? place / "unet" : place;
  std::vector<fs::path> files;
  for (const char* kind : {".safetensors", ".bin"}) {
    for (const fs::directory_entry& entry : fs::directory_iterator(folder))
      if (entry.path().extension() == kind && entry.is_regular_file()) files.push_back(entry.path());
    if (!files.empty()) break;
  }
  std::ranges::sort(files);
  return files;
}

std::string known_hash(const std::vector<fs::path>& files, const fs::path& cache, uintmax_t at_most) {
  if (const auto kept = kept_hash(files, cache)) return *kept;
  uintmax_t bytes = 0;
  for (const fs::path& file : files) bytes += fs::file_size(file);
  return bytes > at_most ? "" : make_hash(files, cache, [] { return false; }).value();
}

ModelHasher::ModelHasher(fs::path cache) : cache_(std::move(cache)), thread_([this] { work(); }) {}

ModelHasher::~ModelHasher() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  come_.notify_all();
}

void ModelHasher::want(const std::string& path, std::vector<fs::path> files) {
  {
    const std::lock_guard lock(mutex_);
    if (!asked_.insert(path).second) return;
    tasks_.push_back({path, std::move(files)});
  }
  come_.notify_one();
}

std::vector<KnownHash> ModelHasher::news() {
  const std::lock_guard lock(mutex_);
  return std::exchange(made_, {});
}

void ModelHasher::work() {
  constexpr int kLast = 19;
  setpriority(PRIO_PROCESS, 0, kLast);  // Linux: of this thread
  const auto stopped = [this] {
    const std::lock_guard lock(mutex_);
    return stop_;
  };
  while (true) {
    Task task;
    {
      std::unique_lock lock(mutex_);
      come_.wait(lock, [this] { return stop_ || !tasks_.empty(); });
      if (stop_) return;
      task = std::move(tasks_.front());
      tasks_.pop_front();
    }
    try {
      auto hash = kept_hash(task.files, cache_);
      if (!hash) hash = make_hash(task.files, cache_, stopped);
      if (!hash) return;
      const std::lock_guard lock(mutex_);
      made_.push_back({task.path, *hash});
    } catch (const std::exception& error) {
      log_line(LogLevel::kWarning, "model_not_hashed", {{"reason", error.what()}});
    }
  }
}

}  // namespace inkstone::serve
