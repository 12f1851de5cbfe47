#include "serve/worker/describe_model.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <vector>

#include "base/cache_folder.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/file.h"
#include "base/utf8.h"
#include "diffusion/model_folder.h"
#include "diffusion/parameters.h"

namespace inkstone::serve {
namespace {

namespace fs = std::filesystem;

constexpr size_t kHashDigits = 64, kPiece = size_t{1} << 20;

// That tell models apart: the U-Net's, or the one file.
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

// Which files, and whether they are still the same.
std::string state_of(const std::vector<fs::path>& files) {
  std::string text;
  for (const fs::path& file : files) text += file_state(file);
  return text;
}

// Read, not mapped: these pages are not to count as this process's.
std::string hash_of(const std::vector<fs::path>& files) {
  Digest digest;
  std::vector<char> piece(kPiece);
  for (const fs::path& path : files) {
    std::ifstream file(path, std::ios::binary);
    while (file.read(piece.data(), kPiece), file.gcount() > 0)
      digest.add(std::as_bytes(std::span(piece).first(static_cast<size_t>(file.gcount()))));
    INKSTONE_CHECK(file.eof(), path.string(), ": cannot be read to its end");
  }
  return digest.text();
}

std::string kept_hash(const std::vector<fs::path>& files, const fs::path& cache) {
  if (cache.empty()) return hash_of(files);
  const fs::path entry = cache / sha256(state_of(files));
  try {
    const std::string kept = read_file(entry, kHashDigits);
    if (kept.size() == kHashDigits && kept.find_first_not_of("0123456789abcdef") == std::string::npos) return kept;
  } catch (const Error&) {  // it is not there
  }
  std::string hash = hash_of(files);
  try {
    std::error_code ignored;
    fs::create_directories(cache, ignored);
    write_file(entry, std::as_bytes(std::span(hash)));
  } catch (const Error&) {  // a cache that cannot be written is none
  }
  return hash;
}

}  // namespace

std::string model_fingerprint(const Pipeline& model, size_t adapters) {
  std::string text = files_state(model.path);
  for (const auto& [component, place] : model.replaced) text += files_state(place);
  const std::vector<MergedAdapter> some(
      model.adapters.begin(),
      model.adapters.begin() + static_cast<std::ptrdiff_t>(std::min(adapters, model.adapters.size())));
  for (const MergedAdapter& adapter : some) text += files_state(adapter.use.path);
  return sha256(text + adapter_texts(some).tags);
}

fs::path default_hash_cache() { return cache_folder("hashes"); }

ModelCard describe_model(const Pipeline& model, const fs::path& cache) {
  const std::vector<fs::path> files = weight_files(model);
  ModelCard card;
  card.name = clean_utf8(model.name());
  card.file = fs::is_directory(model.path) ? card.name : clean_utf8(model.path.filename().string());
  card.hash = kept_hash(files, cache);
  card.fingerprint = model_fingerprint(model);
  for (const Component& component : model.components) {
    card.parameters += component.parameters;
    card.shape += component.name + " " + std::to_string(component.parameters) + " " + name_of(component.stored) + " ";
  }
  for (const fs::path& file : files) {
    struct stat status {};
    if (stat(file.c_str(), &status) == 0) card.created = std::max<int64_t>(card.created, status.st_mtim.tv_sec);
  }
  card.tokens = model.tokens();
  card.traits = model.traits;
  card.traits.scheduler_file = ModelTraits{}.scheduler_file;  // clients are told no path
  return card;
}

}  // namespace inkstone::serve
