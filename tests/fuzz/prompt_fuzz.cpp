// Any prompt is pieces with finite weights, in few texts, and chunks of tokens; or a UsageError.
#include <cmath>
#include <cstdlib>

#include "base/error.h"
#include "diffusion/prompt_chunks.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace inkstone;
  static const auto tokenizer = Tokenizer::from_merges("#version: 0.2\ni n\nt h\na n\nr e\na a\naa aa\n", "!");
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto require = [](bool holds) {
    if (!holds) std::abort();
  };
  for (const PromptSyntax syntax : {PromptSyntax::kA1111, PromptSyntax::kComfy, PromptSyntax::kPlain}) try {
      const int steps = 1 + static_cast<int>(size % 50);
      size_t texts = 0;
      for (const WeightedSchedule& part : composed_schedules(text, syntax, steps)) {
        require(std::abs(part.weight) <= kMaxWeight && part.schedule.of_step.size() == static_cast<size_t>(steps));
        texts += part.schedule.texts.size();
      }
      require(texts >= 1 && texts <= kMaxPromptTexts);
      const PromptSchedule schedule = prompt_schedule(text, syntax, steps);
      require(schedule.of_step.size() == static_cast<size_t>(steps));
      require(!schedule.texts.empty() && schedule.texts.size() <= kMaxPromptTexts);
      for (const int index : schedule.of_step)
        require(index >= 0 && static_cast<size_t>(index) < schedule.texts.size());
      for (const PromptText& one : schedule.texts) {
        for (const PromptPiece& piece : one.pieces) require(std::abs(piece.weight) <= kMaxWeight);
        const PromptChunks chunks = prompt_chunks(one, tokenizer, 3);
        require(!chunks.chunks.empty() && chunks.chunks.size() <= 4);
        for (const PromptChunk& chunk : chunks.chunks) {
          require(chunk.ids.size() == 77 && chunk.weights.size() == 77);
          require(chunk.end > 0 && chunk.end < 77 && chunk.ids[static_cast<size_t>(chunk.end)] == tokenizer.end());
        }
      }
    } catch (const UsageError&) {
    }
  return 0;
}
