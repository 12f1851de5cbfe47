#include "diffusion/pipeline_embeddings.h"

#include <algorithm>
#include <filesystem>

#include "adapters/embedding_file.h"
#include "adapters/family.h"
#include "base/error.h"
#include "base/utf8.h"

namespace inkstone {
namespace {

namespace fs = std::filesystem;

constexpr size_t kHashDigits = 12;

std::string widths_text(const std::vector<int64_t>& widths) {
  std::string text;
  for (const int64_t width : widths) text += (text.empty() ? "" : " and ") + std::to_string(width);
  return text;
}

int64_t width_of(const EmbeddingFile& file) {
  int64_t sum = 0;
  for (const EmbeddingSet& set : file.sets) sum += set.width;
  return sum;
}

// Of each text encoder its set. Throws Error where one has none, or the widest set would be nobody's.
std::vector<const EmbeddingSet*> sets_for(const Pipeline& pipeline, const EmbeddingFile& file) {
  std::vector<const EmbeddingSet*> sets;
  std::vector<int64_t> wanted, found;
  const EmbeddingSet* widest = &file.sets.front();
  for (const EmbeddingSet& set : file.sets) {
    found.push_back(set.width);
    if (set.width > widest->width) widest = &set;
  }
  std::ranges::sort(found);
  for (const TextEncoder& encoder : pipeline.text_encoders) {
    const auto fits = [&](const EmbeddingSet& set) {
      return set.width == encoder.config.width && (set.encoder.empty() || set.encoder == encoder.component);
    };
    wanted.push_back(encoder.config.width);
    const auto set = std::ranges::find_if(file.sets, fits);
    if (set != file.sets.end()) sets.push_back(&*set);
  }
  INKSTONE_CHECK(sets.size() == wanted.size() && std::ranges::count(sets, widest), file.path, ": made for ",
                 family_of_width(width_of(file)), ": its vectors have the width ", widths_text(found),
                 ", this model's text encoder", wanted.size() > 1 ? "s read " : " reads ", widths_text(wanted));
  const int64_t most = pipeline.tokens() - 2;
  INKSTONE_CHECK(sets[0]->count <= most, file.path, ": ", sets[0]->count, " vectors; a prompt's part has ", most,
                 " places");
  return sets;
}

class EmbeddingLoader {
 public:
  explicit EmbeddingLoader(Pipeline& pipeline) : pipeline_(pipeline) {
    pipeline.embeddings.clear();
    for (TextEncoder& encoder : pipeline.text_encoders)
      encoder.embeddings = EmbeddingTable(encoder.config.vocabulary, encoder.config.width);
  }

  void load(const fs::path& path) {
    const EmbeddingFile file = read_embedding(path);
    const std::vector<const EmbeddingSet*> sets = sets_for(pipeline_, file);
    const auto same = std::ranges::find(pipeline_.embeddings, file.name, &Embedding::name);
    INKSTONE_CHECK(same == pipeline_.embeddings.end(), file.path, ": ",
                   same == pipeline_.embeddings.end() ? "" : same->path, " has the same name; rename one");
    const size_t number = pipeline_.embeddings.size();
    for (size_t i = 0; i < sets.size(); ++i) {
      TextEncoder& encoder = pipeline_.text_encoders[i];
      encoder.embeddings.add({file.name, file.token, number}, sets[i]->values, *encoder.tokenizer);
    }
    pipeline_.embeddings.push_back({file.path, file.name, file.hash, sets[0]->count, width_of(file), ""});
  }

  void skip(const fs::path& path, std::string why) {
    if (const std::string place = path.string(); why.starts_with(place))
      why.replace(0, place.size(), path.filename().string());
    skipped_.push_back({path.string(), path.stem().string(), "", 0, 0, std::move(why)});
  }

  // Behind the others, whose names count first.
  void add_skipped() {
    for (Embedding& one : skipped_) {
      const size_t number = pipeline_.embeddings.size();
      for (TextEncoder& encoder : pipeline_.text_encoders)
        encoder.embeddings.add({one.name, "", number}, {}, *encoder.tokenizer);
      pipeline_.embeddings.push_back(std::move(one));
    }
  }

 private:
  Pipeline& pipeline_;
  std::vector<Embedding> skipped_;
};

// Pictures that hold vectors, and previews of them, are left alone.
std::vector<fs::path> files_below(const fs::path& folder) {
  std::vector<fs::path> files;
  std::error_code error;
  INKSTONE_CHECK_USAGE(fs::is_directory(folder, error), "--embedding-dir ", folder.string(), ": no such folder");
  constexpr auto kOptions =
      fs::directory_options::follow_directory_symlink | fs::directory_options::skip_permission_denied;
  for (fs::recursive_directory_iterator at(folder, kOptions, error), end; !error && at != end; at.increment(error)) {
    std::error_code none;
    for (const char* extension : {".safetensors", ".pt", ".bin"})
      if (at->path().extension() == extension && at->is_regular_file(none)) files.push_back(at->path());
  }
  INKSTONE_CHECK_USAGE(!error, "--embedding-dir ", folder.string(), ": ", error.message());
  std::ranges::sort(files);
  return files;
}

}  // namespace

void load_embeddings(Pipeline& pipeline, const EmbeddingSources& sources) {
  EmbeddingLoader loader(pipeline);
  const auto load_or_skip = [&](const fs::path& file) {
    try {
      loader.load(file);
    } catch (const Error& error) {
      loader.skip(file, error.what());
    }
  };
  for (const std::string& file : sources.files) {
    if (sources.skip_misfits)
      load_or_skip(file);
    else
      loader.load(file);
  }
  if (!sources.folder.empty())
    for (const fs::path& file : files_below(sources.folder)) load_or_skip(file);
  loader.add_skipped();
}

std::string embedding_hashes(const Pipeline& pipeline, const std::vector<size_t>& used) {
  std::string text;
  for (const size_t number : used) {
    const Embedding& one = pipeline.embeddings.at(number);
    if (!one.skipped.empty()) continue;
    std::string name = clean_utf8(one.name);
    std::erase_if(name, [](char c) { return c == ':' || c == ','; });
    text += (text.empty() ? "" : ", ") + name + ": " + one.hash.substr(0, kHashDigits);
  }
  return text;
}

}  // namespace inkstone
