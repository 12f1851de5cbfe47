// Textual inversions against diffusers' load_textual_inversion and, by hand, AUTOMATIC1111's web UI. Goldens by
// tools/fixtures/embeddings.py.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>

#include "adapters/embedding_file.h"
#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "diffusion/clip_files.h"
#include "diffusion/engine.h"
#include "diffusion/generate.h"
#include "diffusion/golden_runs.h"
#include "diffusion/parameters.h"
#include "diffusion/pipeline_embeddings.h"
#include "support/differences.h"

namespace inkstone {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

const fs::path kFixtures = fs::path(INKSTONE_SOURCE_DIR) / "tests" / "fixtures", kEmbeddings = kFixtures / "embeddings";

std::string file(const std::string& name) { return (kEmbeddings / name).string(); }

Pipeline model(const std::string& name, const EmbeddingSources& sources) {
  Pipeline pipeline = Pipeline::open(kFixtures / "models" / name);
  load_embeddings(pipeline, sources);
  return pipeline;
}

Engine engine_of(Pipeline pipeline, const std::string& device = "cpu", Precision precision = Precision::kFp32) {
  EngineOptions options;
  options.device = device;
  options.precision = precision;
  return Engine(std::move(pipeline), options);
}

PromptText text_of(const std::string& prompt, PromptSyntax syntax) {
  return prompt_schedule(prompt, syntax, 1).texts.at(0);
}

ImageRequest request_of(const std::string& prompt, const std::string& negative) {
  ImageRequest request;
  request.prompt = prompt;
  request.negative_prompt = negative;
  request.prompt_syntax = "plain";
  request.seed = 42;
  request.steps = 4;
  request.guidance_scale = 5.0f;
  request.scheduler = "ddim";
  request.width = request.height = 32;
  return request;
}

Tensor latents_of(Engine& engine, const ImageRequest& request) { return std::move(stepped(engine, request).latent); }

class EmbeddingGoldens : public testing::TestWithParam<const char*> {
 protected:
  const Weights golden_ = Weights::open_files({kEmbeddings / "golden" / "golden.safetensors"});
  const Json list_ = read_json(kEmbeddings / "golden" / "golden.json");
  std::string listed(const char* key) const { return std::string(list_.at(key).as_string()); }
};

TEST_P(EmbeddingGoldens, sd15_is_diffusers) {
  Engine engine = engine_of(model("tiny-sd15", {{}, kEmbeddings.string()}), GetParam());
  const std::string prompt = listed("prompt"), negative = listed("negative_prompt");
  EXPECT_LE(largest_difference(engine.encode_text(text_of(prompt, PromptSyntax::kPlain)).floats(),
                               golden_.read("sd15/text").floats()),
            1e-5);
  EXPECT_LE(largest_difference(engine.encode_text(text_of(negative, PromptSyntax::kPlain)).floats(),
                               golden_.read("sd15/negative").floats()),
            1e-5);
  EXPECT_LE(largest_difference(latents_of(engine, request_of(prompt, negative)), golden_.read("sd15/latents")), 1e-3);
}

TEST_P(EmbeddingGoldens, sdxl_is_diffusers_for_both_rules_of_the_end) {
  const std::string prompt = listed("xl_prompt"), negative = listed("xl_negative_prompt");
  for (const bool largest : {false, true}) {
    Pipeline pipeline = model("tiny-sdxl", {{file("xl/xl.safetensors")}, ""});
    ASSERT_FALSE(pipeline.text_encoders[1].config.end_is_largest);  // the configuration says which
    pipeline.text_encoders[1].config.end_is_largest = largest;
    Engine engine = engine_of(std::move(pipeline), GetParam());
    EXPECT_LE(largest_difference(engine.encode_text(text_of(prompt, PromptSyntax::kPlain)).floats(),
                                 golden_.read("sdxl/text").floats()),
              1e-5);
    const std::string name = largest ? "sdxl_2" : "sdxl";
    EXPECT_LE(largest_difference(latents_of(engine, request_of(prompt, negative)), golden_.read(name + "/latents")),
              1e-3)
        << name;
  }
  EXPECT_GT(largest_difference(golden_.read("sdxl/pooled"), golden_.read("sdxl_2/pooled")), 0.01);  // they differ
}

TEST_P(EmbeddingGoldens, weights_and_chunks_are_the_web_uis) {
  Engine engine = engine_of(model("tiny-sd15", {{}, kEmbeddings.string()}), GetParam());
  ASSERT_FALSE(list_.at("by_hand").as_array().empty());
  for (const Json& item : list_.at("by_hand").as_array()) {
    const std::string name(item.at("name").as_string()), prompt(item.at("prompt").as_string());
    const Tensor right = golden_.read("by_hand_" + name + "/text");
    EXPECT_LE(largest_difference(engine.encode_text(text_of(prompt, PromptSyntax::kA1111)).floats(), right.floats()),
              1e-5)
        << name;
  }
}

INSTANTIATE_TEST_SUITE_P(Devices, EmbeddingGoldens, testing::Values("reference", "cpu"));

TEST(Embeddings, prompts_that_name_none_give_the_same_bytes) {
  Engine plain = engine_of(model("tiny-sd15", {})), with = engine_of(model("tiny-sd15", {{}, kEmbeddings.string()}));
  for (const char* prompt : {"a red fox", "a (bee:1.2), marks"}) {
    const PromptText text = text_of(prompt, PromptSyntax::kA1111);
    EXPECT_EQ(largest_difference(with.encode_text(text), plain.encode_text(text)), 0) << prompt;
  }
  // also after one that does
  const PromptText fox = text_of("a red fox", PromptSyntax::kA1111), mark = text_of("mark", PromptSyntax::kA1111);
  const Tensor found = [&] {
    Engine again = engine_of(model("tiny-sd15", {{file("mark.pt")}, ""}));
    again.encode_text(mark);
    Tensor copy(again.encode_text(fox).shape());
    std::ranges::copy(again.encode_text(fox).floats(), copy.floats().begin());
    return copy;
  }();
  EXPECT_EQ(largest_difference(found, plain.encode_text(fox)), 0);
}

TEST(Embeddings, bf16_is_near_fp32) {
  Engine exact = engine_of(model("tiny-sd15", {{file("mark.pt")}, ""})),
         rounded = engine_of(model("tiny-sd15", {{file("mark.pt")}, ""}), "cpu", Precision::kBf16);
  const PromptText text = text_of("a red mark", PromptSyntax::kA1111);
  rounded.prepare(rounded.resolve(request_of("", "")));  // which plans in bf16
  const double off = largest_difference(rounded.encode_text(text), exact.encode_text(text));
  EXPECT_GT(off, 0);
  EXPECT_LT(off, 0.1);
}

TEST(Embeddings, of_a_folder_those_that_do_not_fit_are_skipped_and_say_why) {
  const Pipeline pipeline = model("tiny-sd15", {{file("mark.pt")}, kEmbeddings.string()});
  std::vector<std::string> used, skipped;
  for (const Embedding& one : pipeline.embeddings)
    (one.skipped.empty() ? used : skipped).push_back(one.name + (one.skipped.empty() ? "" : ": " + one.skipped));
  EXPECT_THAT(used, ElementsAre("mark", "bee_toy", "dict", "plain", "style", "toy"));
  EXPECT_THAT(skipped,
              ElementsAre(HasSubstr("golden: golden.safetensors: no textual inversion: it has several tensors"),
                          HasSubstr("has the same name; rename one"),
                          "xl: xl.safetensors: made for another model: its vectors have the width 24 and 40, this "
                          "model's text encoder reads 32"));
  EXPECT_EQ(pipeline.embeddings[0].vectors, 3);
  EXPECT_EQ(pipeline.embeddings[0].width, 32);
}

TEST(Embeddings, a_file_of_another_model_is_one_clear_error) {
  const auto error_of = [](const std::string& name, const EmbeddingSources& sources) -> std::string {
    try {
      model(name, sources);
    } catch (const Error& error) {
      return error.what();
    }
    return "none";
  };
  EXPECT_THAT(error_of("tiny-sdxl", {{file("mark.pt")}, ""}),
              HasSubstr("mark.pt: made for another model: its vectors have the width 32, this model's text encoders "
                        "read 24 and 40"));
  EXPECT_THAT(error_of("tiny-sd15", {{file("xl/xl.safetensors")}, ""}), HasSubstr("have the width 24 and 40"));
  EXPECT_THAT(error_of("tiny-sd15", {{file("mark.pt"), file("mark.pt")}, ""}), HasSubstr("has the same name"));
  EXPECT_THAT(error_of("tiny-sd15", {{file("nothing.pt")}, ""}), HasSubstr("nothing.pt"));
  EXPECT_THAT(error_of("tiny-sd15", {{}, file("nothing")}), HasSubstr("--embedding-dir"));
}

TEST(Embeddings, an_image_says_which_it_used) {
  Engine engine = engine_of(model("tiny-sd15", {{}, kEmbeddings.string()}));
  ImageRequest request = request_of("a style by <toy>, style", "mark");
  request.prompt_syntax = "a1111";
  request.steps = 1;
  const Generated made = generate(engine, engine.resolve(request));
  const auto hash = [&](const std::string& name) { return read_embedding(file(name)).hash.substr(0, 12); };
  const std::string hashes =
      "mark: " + hash("mark.pt") + ", style: " + hash("style.safetensors") + ", toy: " + hash("toy.bin");
  EXPECT_EQ(made.embedding_hashes, hashes);
  AdapterTexts texts;
  texts.embedding_hashes = made.embedding_hashes;
  EXPECT_THAT(parameters_text(engine.resolve(request), "tiny", texts), HasSubstr(", TI hashes: \"" + hashes + "\""));
  EXPECT_TRUE(made.warnings.empty());
}

TEST(Embeddings, a_prompt_that_names_one_that_is_not_used_is_told) {
  Engine engine = engine_of(model("tiny-sd15", {{}, kEmbeddings.string()}));
  const auto warnings = [&](const char* prompt, const char* syntax) {
    ImageRequest request = request_of(prompt, "");
    request.prompt_syntax = syntax;
    return engine.start(engine.resolve(request)).warnings;
  };
  EXPECT_THAT(
      warnings("a red xl", "a1111"),
      ElementsAre(HasSubstr("the embedding xl, which the prompt names, is not used: xl.safetensors: made for")));
  EXPECT_THAT(warnings("embedding:styl fox", "comfy"),
              ElementsAre("embedding:styl in the prompt is left out: no embedding has this name; did you mean style?"));
  EXPECT_TRUE(warnings("embedding:style, fox", "comfy").empty());
}

// ---- Matching, with CLIP's own tokens and vectors of one number.

constexpr int32_t kStart = 49406, kEnd = 49407, kFirst = 49408;

class EmbeddingMatching : public testing::Test {
 protected:
  void add(const std::string& name, int count, const std::string& token = "") {
    table_.add({name, token, number_++}, std::vector<float>(static_cast<size_t>(count), 1), clip_);
  }
  PromptChunks read(const std::string& prompt, PromptSyntax syntax = PromptSyntax::kA1111) {
    return prompt_chunks(text_of(prompt, syntax), {clip_, &table_, false}, 9);
  }
  // The ids of the first chunk's text.
  std::vector<int32_t> ids(const std::string& prompt, PromptSyntax syntax = PromptSyntax::kA1111) {
    const PromptChunk chunk = read(prompt, syntax).chunks[0];
    return {chunk.ids.begin() + 1, chunk.ids.begin() + chunk.end};
  }
  std::vector<int> lengths(const std::string& prompt, PromptSyntax syntax = PromptSyntax::kA1111) {
    std::vector<int> all;
    for (const PromptChunk& chunk : read(prompt, syntax).chunks) all.push_back(chunk.end - 1);
    return all;
  }

  const Tokenizer clip_ = Tokenizer::from_merges(clip_files().front().bytes);
  EmbeddingTable table_{kFirst, 1};
  size_t number_ = 0;
};

std::string foxes(int count) {
  std::string text;
  for (int i = 0; i < count; ++i) text += "fox ";
  return text;
}

TEST_F(EmbeddingMatching, the_longest_name_counts_in_any_case) {
  add("red", 1);
  add("red fox", 2);
  EXPECT_THAT(ids("Red Fox"), ElementsAre(kFirst + 1, kFirst + 2));
  EXPECT_THAT(ids("a red bee"), ElementsAre(320, kFirst, clip_.ids("bee")[0]));
  EXPECT_THAT(ids("redfox").size(), clip_.ids("redfox").size());
  EXPECT_THAT(read("red fox red").embeddings, ElementsAre(1u, 0u));
}

TEST_F(EmbeddingMatching, a_name_in_angle_brackets_is_found_beside_other_signs) {
  add("file", 1, "<cat-toy>");
  for (const char* prompt : {"<cat-toy>", "<Cat-Toy>", "file"}) EXPECT_THAT(ids(prompt), ElementsAre(kFirst)) << prompt;
  EXPECT_THAT(ids("<cat-toy>, a"), ElementsAre(kFirst, 267, 320));
  EXPECT_THAT(ids("!<cat-toy>!"), ElementsAre(256, kFirst, 256));
}

TEST_F(EmbeddingMatching, vectors_have_the_weight_of_their_words) {
  add("mark", 2);
  const PromptChunk chunk = read("a (mark:1.5) b").chunks[0];
  EXPECT_THAT(std::vector(chunk.weights.begin(), chunk.weights.begin() + 6), ElementsAre(1, 1, 1.5f, 1.5f, 1, 1));
}

TEST_F(EmbeddingMatching, vectors_are_not_cut_where_a_chunk_ends) {
  add("mark", 10);
  EXPECT_THAT(lengths(foxes(65) + "mark"), ElementsAre(75));
  EXPECT_THAT(lengths(foxes(66) + "mark fox"), ElementsAre(66, 11));
  EXPECT_THAT(lengths(foxes(74) + ", mark"), ElementsAre(75, 10));
  // they follow a comma that is near
  EXPECT_THAT(lengths(foxes(60) + ", mark fox fox fox fox fox"), ElementsAre(61, 15));
  EXPECT_THAT(lengths("mark mark mark mark mark mark mark mark"), ElementsAre(70, 10));
}

TEST_F(EmbeddingMatching, the_end_is_where_the_configuration_says) {
  add("mark", 2);
  const PromptText text = text_of("a mark fox", PromptSyntax::kA1111);
  EXPECT_EQ(prompt_chunks(text, {clip_, &table_, false}, 9).chunks[0].end, 5);
  EXPECT_EQ(prompt_chunks(text, {clip_, &table_, true}, 9).chunks[0].end, 3);
}

TEST_F(EmbeddingMatching, comfy_takes_them_by_name) {
  add("mark", 2);
  add("long", 9);
  constexpr PromptSyntax kComfy = PromptSyntax::kComfy;
  EXPECT_THAT(ids("mark", kComfy), ElementsAre(clip_.ids("mark")[0]));
  EXPECT_THAT(ids("a embedding:mark", kComfy), ElementsAre(320, kFirst, kFirst + 1));
  EXPECT_THAT(ids("embedding:mark, a", kComfy), ElementsAre(kFirst, kFirst + 1, 267, 320));
  EXPECT_THAT(ids("embedding:sub/mark.pt", kComfy), ElementsAre(kFirst, kFirst + 1));
  EXPECT_THAT(ids("embedding:nothing a", kComfy), ElementsAre(320));
  EXPECT_THAT(read("embedding:nothing embedding:nothing", kComfy).unknown, ElementsAre("nothing"));
  EXPECT_FLOAT_EQ(read("(embedding:mark:1.2)", kComfy).chunks[0].weights[2], 1.2f);
  EXPECT_THAT(lengths(foxes(74) + "embedding:mark", kComfy), ElementsAre(74, 2));
  EXPECT_THAT(lengths(foxes(70) + "embedding:long", kComfy), ElementsAre(75, 4));
}

TEST_F(EmbeddingMatching, plain_text_is_cut_as_diffusers_cuts_it) {
  add("mark", 3);
  const PromptChunks found = read(foxes(74) + "mark (bee:2)", PromptSyntax::kPlain);
  EXPECT_EQ(found.chunks[0].ids[75], kFirst);
  EXPECT_EQ(found.chunks[0].ids[76], kEnd);
  EXPECT_EQ(found.cut, "mark (bee:2)");
  EXPECT_EQ(found.chunks[0].ids[0], kStart);
}

TEST_F(EmbeddingMatching, words_without_vectors_stay_text_and_are_seen) {
  add("red", 1);
  table_.add({"red fox", "", 7}, {}, clip_);
  EXPECT_THAT(ids("red fox"), ElementsAre(kFirst, clip_.ids("fox")[0]));
  EXPECT_THAT(read("red fox").embeddings, ElementsAre(7u, 0u));
}

}  // namespace
}  // namespace inkstone
