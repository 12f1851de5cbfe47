// Any file is vectors of a bounded number and size that are finite, or an Error in one line: safetensors with the names
// that textual inversions have, pickles of torch.save, and changes to files that PyTorch wrote. The vectors then stand in
// any prompt without being lost.
#include <fuzzer/FuzzedDataProvider.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "adapters/embedding_file.h"
#include "base/error.h"
#include "base/file.h"
#include "changed_file.h"
#include "diffusion/prompt_chunks.h"
#include "weights/built_torch_file.h"
#include "weights/safetensors.h"

namespace {

namespace fs = std::filesystem;
using namespace inkstone;

void require(bool holds) {
  if (!holds) std::abort();
}

const std::vector<std::string>& stored_files() {
  static const std::vector<std::string> stored = [] {
    std::vector<std::string> files;
    for (const char* name : {"mark.pt", "dict.pt", "toy.bin", "style.safetensors", "xl/xl.safetensors"})
      files.push_back(read_file(fs::path(INKSTONE_SOURCE_DIR) / "tests/fixtures/embeddings" / name, 1 << 20));
    return files;
  }();
  return stored;
}

std::string named_file(FuzzedDataProvider& fuzz) {
  static const char* const kNames[] = {"emb_params", "clip_l", "clip_g", "<toy>", "string_to_param.*", "*", "", "a"};
  std::vector<StoredTensor> tensors;
  size_t size = 0;
  for (int i = fuzz.ConsumeIntegralInRange(0, 3); i >= 0; --i) {
    StoredTensor tensor;
    tensor.name = kNames[fuzz.ConsumeIntegralInRange<size_t>(0, std::size(kNames) - 1)];
    tensor.type = fuzz.ConsumeBool() ? DType::kF16 : DType::kF32;
    for (int axis = fuzz.ConsumeIntegralInRange(0, 3); axis > 0; --axis)
      tensor.shape.push_back(fuzz.ConsumeIntegralInRange(0, 80));
    bool known = false;
    for (const StoredTensor& other : tensors) known = known || other.name == tensor.name;
    if (known) continue;
    size += bytes(tensor.shape, tensor.type);
    tensors.push_back(std::move(tensor));
  }
  return safetensors_header(tensors) + std::string(size, fuzz.ConsumeBool() ? '\x11' : '\xff');
}

std::string written_file(FuzzedDataProvider& fuzz) {
  switch (fuzz.ConsumeIntegralInRange(0, 3)) {
    case 0: return changed_file(fuzz, stored_files());
    case 1: return named_file(fuzz);
    case 2: return built_torch_file(fuzz.ConsumeRemainingBytesAsString());
    default: return fuzz.ConsumeRemainingBytesAsString();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const auto tokenizer = Tokenizer::from_merges("#version: 0.2\ni n\nt h\na n\nr e\na a\naa aa\n", "!");
  static const fs::path path = fs::temp_directory_path() / ("embedding_fuzz_" + std::to_string(getpid()) + ".bin");
  FuzzedDataProvider fuzz(data, size);
  const std::string name = fuzz.ConsumeRandomLengthString(8), prompt = fuzz.ConsumeRandomLengthString(64);
  const int count = fuzz.ConsumeIntegralInRange(0, 75);
  try {
    const std::string content = written_file(fuzz);
    std::FILE* file = std::fopen(path.c_str(), "wb");
    if (!file) return 0;
    std::fwrite(content.data(), 1, content.size(), file);
    std::fclose(file);
    const EmbeddingFile read = read_embedding(path);
    require(!read.sets.empty());
    for (const EmbeddingSet& set : read.sets) {
      require(set.count >= 1 && set.count <= kMaxEmbeddingVectors && set.count == read.sets[0].count);
      require(set.values.size() == static_cast<size_t>(set.count * set.width));
      for (const float value : set.values) require(std::isfinite(value));
    }
  } catch (const Error& error) {
    require(std::string_view(error.what()).find('\n') == std::string_view::npos);
  }
  EmbeddingTable table(tokenizer.vocabulary(), 1);
  table.add({name, "<" + name + ">", 0}, std::vector<float>(static_cast<size_t>(count), 1), tokenizer);
  table.add({"in the", "", 1}, std::vector<float>(3, 1), tokenizer);
  for (const PromptSyntax syntax : {PromptSyntax::kA1111, PromptSyntax::kComfy, PromptSyntax::kPlain}) try {
      for (const PromptText& text : prompt_schedule(prompt, syntax, 5).texts) {
        const PromptChunks found = prompt_chunks(text, {tokenizer, &table, false}, 3);
        for (const PromptChunk& chunk : found.chunks) {
          require(chunk.ids.size() == 77 && chunk.weights.size() == 77);
          int32_t last = 0;
          for (const int32_t id : chunk.ids) {
            require(id < tokenizer.vocabulary() + count + 3);
            // a1111 cuts none: behind a vector that is not its embedding's last stands the next
            const int32_t vector = last - tokenizer.vocabulary();
            const bool inner = vector >= 0 && vector != count - 1 && vector != count + 2;
            require(syntax != PromptSyntax::kA1111 || !inner || id == last + 1);
            last = id;
          }
        }
      }
    } catch (const UsageError&) {
    }
  return 0;
}
