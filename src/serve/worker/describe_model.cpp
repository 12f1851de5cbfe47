#include "serve/worker/describe_model.h"

#include <sys/stat.h>

#include <algorithm>
#include <vector>

#include "base/digest.h"
#include "base/error.h"
#include "base/file.h"
#include "base/utf8.h"
#include "diffusion/model_folder.h"
#include "diffusion/parameters.h"
#include "diffusion/preview_vae.h"
#include "serve/worker/model_hasher.h"

namespace inkstone::serve {
namespace {

namespace fs = std::filesystem;

// So large a model takes a moment to read.
constexpr uintmax_t kReadAtOnce = uintmax_t{64} << 20;

}  // namespace

std::string model_fingerprint(const Pipeline& model, size_t adapters) {
  std::string text = files_state(model.path);
  for (const auto& [component, place] : model.replaced) text += files_state(place);
  const std::vector<MergedAdapter> some(
      model.adapters.begin(),
      model.adapters.begin() + static_cast<std::ptrdiff_t>(std::min(adapters, model.adapters.size())));
  for (const MergedAdapter& adapter : some) text += files_state(adapter.use.path);
  for (const Upscaler& upscaler : model.upscalers) text += files_state(upscaler.file());
  // their vectors are in memory: the files may change
  for (const Embedding& embedding : model.embeddings)
    if (embedding.skipped.empty()) text += embedding.name + " " + embedding.hash + "\n";
  return sha256(text + adapter_texts(some).tags);
}

ModelCard describe_model(const Pipeline& model, const fs::path& cache) {
  const std::vector<fs::path> files = weight_files(model);
  ModelCard card;
  card.name = clean_utf8(model.name());
  card.file = fs::is_directory(model.path) ? card.name : clean_utf8(model.path.filename().string());
  card.hash = known_hash(files, cache, kReadAtOnce);
  card.fingerprint = model_fingerprint(model);
  for (const Component& component : model.components) {
    if (component.name == kPreviewVae) continue;
    card.parameters += component.parameters;
    card.shape += component.name + " " + std::to_string(component.parameters) + " " + name_of(component.stored) + " ";
  }
  for (const fs::path& file : files) {
    struct stat status {};
    if (stat(file.c_str(), &status) == 0) card.created = std::max<int64_t>(card.created, status.st_mtim.tv_sec);
  }
  constexpr size_t kEmbeddingsTold = 512;
  for (const Embedding& one : model.embeddings)
    if (card.embeddings.size() < kEmbeddingsTold)
      card.embeddings.push_back({clean_utf8(one.name), one.vectors, one.width, !one.skipped.empty()});
  card.tokens = model.tokens();
  card.traits = model.traits;
  card.traits.scheduler_file = ModelTraits{}.scheduler_file;  // clients are told no path
  return card;
}

}  // namespace inkstone::serve
