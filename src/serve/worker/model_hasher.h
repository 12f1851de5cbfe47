// The SHA-256 of a model's weights. It is read whole once, and then kept in `cache` for as long as
// the files' sizes and times of change stay. A large model is read in the background.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <functional>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "diffusion/pipeline.h"
#include "serve/wire/wire.h"

namespace inkstone::serve {

// $INKSTONE_CACHE/hashes, $XDG_CACHE_HOME/inkstone/hashes, ~/.cache/inkstone/hashes; "": none
std::filesystem::path default_hash_cache();

// That tell models apart: the U-Net's weights, or the one file.
std::vector<std::filesystem::path> weight_files(const Pipeline& model);

// Of these files one after another: of one file, what sha256sum says. As it was kept, or where they
// are of at most so many bytes; else empty.
std::string known_hash(const std::vector<std::filesystem::path>& files, const std::filesystem::path& cache,
                       uintmax_t at_most);

// Reads them one model after the other, on a thread that runs when nothing else does.
class ModelHasher {
 public:
  explicit ModelHasher(std::filesystem::path cache);
  ModelHasher(const ModelHasher&) = delete;
  ModelHasher& operator=(const ModelHasher&) = delete;
  ~ModelHasher();

  // `path`: by which the gateway knows the model. Nothing is done for one that was asked for.
  void want(const std::string& path, std::vector<std::filesystem::path> files);
  std::vector<KnownHash> news();  // since the last call

 private:
  struct Task {
    std::string path;
    std::vector<std::filesystem::path> files;
  };
  void work();

  const std::filesystem::path cache_;
  std::mutex mutex_;
  std::condition_variable come_;
  std::deque<Task> tasks_;
  std::vector<KnownHash> made_;
  std::set<std::string> asked_;
  bool stop_ = false;
  std::jthread thread_;
};

}  // namespace inkstone::serve
