#include "adapters/embedding_file.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "base/digest.h"
#include "base/error.h"
#include "base/spelling.h"
#include "base/utf8.h"
#include "weights/checkpoint.h"
#include "weights/finite.h"

namespace inkstone {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kNested = "string_to_param.", kPlain = "emb_params";
constexpr int64_t kMaxWidth = 1 << 16;

// Which encoder of SDXL a set is for.
constexpr std::pair<std::string_view, const char*> kEncoders[] = {{"clip_l", "text_encoder"},
                                                                  {"clip_g", "text_encoder_2"}};

const char* encoder_of(std::string_view key) {
  for (const auto& [name, encoder] : kEncoders)
    if (key == name) return encoder;
  return "";
}

EmbeddingSet set_of(const WeightView& view, const std::string& source) {
  const std::string what = source + ": the tensor " + shown(view.name);
  const Shape& shape = view.shape;
  INKSTONE_CHECK(shape.size() == 1 || shape.size() == 2, what, " is ", shown(to_string(shape)),
                 "; vectors are [width] or [number, width]");
  EmbeddingSet set{encoder_of(view.name), shape.size() == 2 ? shape[0] : 1, shape.back(), {}};
  INKSTONE_CHECK(set.count >= 1 && set.count <= kMaxEmbeddingVectors, what, " has ", set.count, " vectors; 1 to ",
                 kMaxEmbeddingVectors, " fit into a prompt");
  INKSTONE_CHECK(set.width >= 1 && set.width <= kMaxWidth, what, " has vectors of width ", set.width);
  const int64_t size = set.count * set.width;
  std::vector<std::byte> elements(static_cast<size_t>(size) * size_of(view.type));
  copy_elements(view, elements.data());
  const auto bad = first_not_finite(view.type, elements);
  INKSTONE_CHECK(!bad, what, " is NaN or infinite at ", bad.value_or(0), ": the file is damaged");
  set.values.resize(static_cast<size_t>(size));
  finite_to_float(view.type, elements, set.values);
  return set;
}

bool is_token(std::string_view key) { return key != kPlain && key != "*" && !key.starts_with(kNested); }

// The vectors among the tensors; what else a file holds beside known names is none.
std::vector<const WeightView*> vectors_of(const Checkpoint& file, const std::string& source) {
  const std::map<std::string, WeightView>& tensors = file.tensors();
  std::vector<const WeightView*> found;
  const auto take = [&](const auto& is_wanted) {
    for (const auto& [key, view] : tensors)
      if (is_wanted(key)) found.push_back(&view);
  };
  take([](std::string_view key) { return key.starts_with(kNested); });
  if (found.empty()) take([](std::string_view key) { return *encoder_of(key) != 0; });
  if (found.empty()) take([](std::string_view key) { return key == kPlain; });
  const bool known = !found.empty();
  if (!known) take([](std::string_view) { return true; });
  std::vector<std::string> names;
  for (const WeightView* view : found) names.push_back(shown(view->name));
  constexpr size_t kShown = 3;
  INKSTONE_CHECK(!found.empty(), source, ": no textual inversion: it has no tensor of a type that is read",
                 file.unread().empty() ? ""
                                       : " (" + shown(file.unread().begin()->first) + " is " +
                                             shown(file.unread().begin()->second) + ")");
  INKSTONE_CHECK(found.size() == 1 || *encoder_of(found[0]->name) != 0, source, ": ",
                 known ? "it has several words' vectors (" : "no textual inversion: it has several tensors (",
                 listed(names, kShown), ")");
  return found;
}

std::string hash_of(const fs::path& path) {
  const MappedFile file(path);
  Digest digest;
  digest.add(file.bytes());
  return digest.text();
}

}  // namespace

EmbeddingFile read_embedding(const fs::path& path) {
  EmbeddingFile file{path.string(), path.stem().string(), "", "", {}};
  const Checkpoint tensors(path);
  for (const WeightView* view : vectors_of(tensors, file.path)) {
    file.sets.push_back(set_of(*view, file.path));
    if (file.sets.back().encoder.empty() && is_token(view->name)) file.token = view->name;
    INKSTONE_CHECK(file.sets.back().count == file.sets.front().count, file.path,
                   ": the sets of the text encoders have ", file.sets.front().count, " and ", file.sets.back().count,
                   " vectors");
  }
  file.hash = hash_of(path);
  return file;
}

}  // namespace inkstone
