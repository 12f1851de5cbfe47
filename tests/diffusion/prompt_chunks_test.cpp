// How prompts are cut into chunks, with CLIP's own tokens; what encoders make of weighted and long prompts, against
// transformers and numpy (tests/fixtures/weighting.*, by tools/fixtures/weighting.py).
#include "diffusion/prompt_chunks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "base/json.h"
#include "diffusion/clip_files.h"
#include "diffusion/engine.h"
#include "diffusion/golden_runs.h"
#include "support/differences.h"
#include "weights/weights.h"

namespace inkstone {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::ElementsAreArray;

const fs::path kFixtures = fs::path(INKSTONE_SOURCE_DIR) / "tests" / "fixtures";
constexpr int32_t kStart = 49406, kEnd = 49407;

Tokenizer clip(const std::string& padding = "") { return Tokenizer::from_merges(clip_files().front().bytes, padding); }

std::string words(int count, const std::string& word = "fox ") {
  std::string text;
  for (int i = 0; i < count; ++i) text += word;
  return text;
}

PromptChunks chunks_of(const std::string& prompt, PromptSyntax syntax = PromptSyntax::kA1111, size_t most = 9) {
  return prompt_chunks(prompt_schedule(prompt, syntax, 1).texts.at(0), clip(), most);
}

// The tokens of text in each chunk.
std::vector<int> lengths(const PromptChunks& found) {
  std::vector<int> all;
  for (const PromptChunk& chunk : found.chunks) all.push_back(chunk.end - 1);
  return all;
}

TEST(PromptChunks, one_chunk_is_what_the_tokenizer_gives) {
  for (const char* padding : {"", "!"})
    for (const std::string& prompt : {std::string(), std::string("a red fox, wow!"), words(75)}) {
      const Tokenizer tokenizer = clip(padding);
      for (const std::string& name : prompt_syntax_names()) {
        const PromptText text = prompt_schedule(prompt, prompt_syntax(name), 1).texts[0];
        const PromptChunks found = prompt_chunks(text, tokenizer, 9);
        ASSERT_EQ(found.chunks.size(), 1u);
        const Tokens tokens = tokenizer.encode(prompt);
        EXPECT_EQ(found.chunks[0].ids, tokens.ids) << prompt << name;
        EXPECT_EQ(found.chunks[0].end, tokens.used - 1);
        EXPECT_FALSE(found.chunks[0].weighted());
      }
    }
}

TEST(PromptChunks, weights_stand_beside_their_tokens) {
  const PromptChunk chunk = chunks_of("a (red fox:1.5) b").chunks[0];
  EXPECT_THAT(std::vector(chunk.ids.begin(), chunk.ids.begin() + 6), ElementsAre(kStart, 320, 736, 3240, 321, kEnd));
  EXPECT_THAT(std::vector(chunk.weights.begin(), chunk.weights.begin() + 7), ElementsAre(1, 1, 1.5f, 1.5f, 1, 1, 1));
}

TEST(PromptChunks, what_follows_a_near_comma_moves_to_the_next_chunk) {
  EXPECT_THAT(lengths(chunks_of(words(76))), ElementsAre(75, 1));
  EXPECT_THAT(lengths(chunks_of(words(55) + ", " + words(20))), ElementsAre(56, 20));
  EXPECT_THAT(lengths(chunks_of(words(54) + ", " + words(21))), ElementsAre(75, 1));
  EXPECT_THAT(lengths(chunks_of(words(60) + ", " + words(5) + ", " + words(10))), ElementsAre(67, 10));
  EXPECT_THAT(lengths(chunks_of(words(75) + ", fox")), ElementsAre(75, 2));
  EXPECT_THAT(lengths(chunks_of(words(74) + ", fox")), ElementsAre(75, 1));
}

TEST(PromptChunks, a_break_ends_a_chunk) {
  EXPECT_THAT(lengths(chunks_of("a fox BREAK two bees")), ElementsAre(2, 2));
  EXPECT_THAT(lengths(chunks_of("BREAK a fox BREAK")), ElementsAre(0, 2));
  EXPECT_THAT(lengths(chunks_of("a BREAK BREAK b")), ElementsAre(1, 0, 1));
}

TEST(PromptChunks, comfy_keeps_short_words_whole) {
  const std::string seven = "a-b-c-d", eight = "a-b-c-d-";
  ASSERT_EQ(clip().ids(seven).size(), 7u);
  ASSERT_EQ(clip().ids(eight).size(), 8u);
  EXPECT_THAT(lengths(chunks_of(words(70) + seven, PromptSyntax::kComfy)), ElementsAre(70, 7));
  EXPECT_THAT(lengths(chunks_of(words(70) + eight, PromptSyntax::kComfy)), ElementsAre(75, 3));
  EXPECT_THAT(lengths(chunks_of(words(60) + ", " + words(20), PromptSyntax::kComfy)), ElementsAre(75, 6));
}

TEST(PromptChunks, plain_text_is_cut) {
  const PromptChunks found = chunks_of(words(75) + "(bee:2)", PromptSyntax::kPlain);
  EXPECT_THAT(lengths(found), ElementsAre(75));
  EXPECT_EQ(found.cut, "(bee:2)");
}

TEST(PromptChunks, no_more_than_asked_for_are_made) {
  EXPECT_EQ(chunks_of(words(10000), PromptSyntax::kA1111, 3).chunks.size(), 4u);
  EXPECT_EQ(chunks_of(words(10000), PromptSyntax::kComfy, 3).chunks.size(), 4u);
  EXPECT_EQ(chunks_of(words(10000, "a BREAK "), PromptSyntax::kA1111, 3).chunks.size(), 4u);
}

TEST(PromptWeighting, the_mean_is_kept) {
  std::vector<float> hidden{1, 2, 3, 4};
  weigh_as_a1111(hidden, std::vector<float>{1, 2});  // 1 2 6 8: their mean is 4.25, it was 2.5
  const float factor = 2.5f / 4.25f;
  EXPECT_THAT(hidden, ElementsAre(1 * factor, 2 * factor, 6 * factor, 8 * factor));
  std::vector<float> none{1, 2};
  weigh_as_a1111(none, std::vector<float>{0, 0});
  EXPECT_THAT(none, ElementsAre(0, 0));
}

TEST(PromptWeighting, comfy_moves_away_from_the_empty_prompt) {
  std::vector<float> hidden{1, 2, 3, 4};
  weigh_as_comfy(hidden, std::vector<float>{0.5f, 1, 1, 1}, std::vector<float>{1, 2});
  EXPECT_THAT(hidden, ElementsAre(1, 2, 5, 7));
}

class WeightedText : public testing::TestWithParam<const char*> {};

TEST_P(WeightedText, is_transformers_and_the_web_uis_arithmetic) {
  const Weights golden = Weights::open_files({kFixtures / "weighting.safetensors"});
  const Json list = read_json(kFixtures / "weighting.json");
  int seen = 0;
  for (const char* model : {"tiny-sd15", "tiny-sdxl"}) {
    EngineOptions options;
    options.device = GetParam();
    options.precision = Precision::kFp32;
    Engine engine(Pipeline::open(kFixtures / "models" / model), options);
    for (const Json& item : list.at("cases").as_array()) {
      if (item.at("model") != model) continue;
      const std::string name(item.at("name").as_string());
      ImageRequest request;
      request.prompt = std::string(item.at("prompt").as_string());
      request.prompt_syntax = std::string(item.at("syntax").as_string());
      request.clip_skip = item.at("clip_skip").to_number<int>();
      const ResolvedRequest resolved = engine.resolve(request);
      const Job job = engine.start(resolved);
      EXPECT_EQ(job.prompts.chunks, item.at("chunks").to_number<int>()) << name;
      const Tensor& found =
          engine.encode_text(resolved.prompt_schedules().at(0).schedule.texts.at(0), resolved.clip_skip);
      EXPECT_LE(largest_difference(found.floats(), golden.read(name + "/text").floats()), 1e-5) << name;
      ++seen;
    }
  }
  EXPECT_EQ(seen, 8);
}

// Padding with the empty prompt, and texts that change at their steps, against diffusers' pipelines.
TEST_P(WeightedText, long_and_edited_prompts_give_diffusers_latents) {
  const Weights golden = Weights::open_files({kFixtures / "weighting.safetensors"});
  const Json list = read_json(kFixtures / "weighting.json");
  ASSERT_GE(list.at("runs").as_array().size(), 3u);
  for (const Json& item : list.at("runs").as_array()) {
    const std::string name(item.at("name").as_string());
    EngineOptions options;
    options.device = GetParam();
    options.precision = Precision::kFp32;
    Engine engine(Pipeline::open(kFixtures / "models" / std::string(item.at("model").as_string())), options);
    EXPECT_LE(largest_difference(stepped(engine, golden_request(item)).latent, golden.read(name + "/latents")), 1e-3)
        << name;
  }
}

INSTANTIATE_TEST_SUITE_P(Devices, WeightedText, testing::Values("reference", "cpu"));

}  // namespace
}  // namespace inkstone
