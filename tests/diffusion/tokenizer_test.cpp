// Prompts and ids of transformers.CLIPTokenizer (tests/fixtures/tokenizer_prompts.json), what is cut, and bad files.
#include "diffusion/tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json/serialize.hpp>
#include <boost/json/value_from.hpp>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "diffusion/clip_files.h"
#include "diffusion/tokenizer_files.h"
#include "support/scratch_folder.h"

namespace inkstone {
namespace {

namespace fs = std::filesystem;
using Ids = std::vector<int32_t>;
using testing::AllOf;
using testing::HasSubstr;

const fs::path kSource = INKSTONE_SOURCE_DIR;
const fs::path kDemo = kSource / "demo" / "model" / "tokenizer";

std::string clip_merges() { return std::string(clip_files().front().bytes); }

class Folder {
 public:
  Folder& put(const char* name, std::string_view text) {
    scratch_->write(name, text);
    return *this;
  }
  const fs::path& path() const { return scratch_->path(); }

 private:
  std::unique_ptr<ScratchFolder> scratch_ = std::make_unique<ScratchFolder>();
};

Json golden(const char* list) {
  return read_json(kSource / "tests" / "fixtures" / "tokenizer_prompts.json").as_object().at(list);
}

std::string prompt_of(const Json& json) {
  if (const auto* text = json.if_string()) return std::string(*text);
  const JsonObject& object = json.as_object();
  std::string result;
  for (int64_t i = 0; i < object.at("count").as_int64(); ++i)
    result += std::string_view(object.at("repeat").as_string());
  return result;
}

Ids used(const Tokens& tokens) { return {tokens.ids.begin(), tokens.ids.begin() + tokens.used}; }

void expect_golden(const Tokenizer& tokenizer, const char* list, size_t rows) {
  const Json json = golden(list);
  ASSERT_GE(json.as_array().size(), rows);
  for (const Json& row : json.as_array()) {
    const std::string prompt = prompt_of(row.as_array()[0]);
    Ids ids;
    for (const Json& id : row.as_array()[1].as_array()) ids.push_back(static_cast<int32_t>(id.as_int64()));
    const Tokens tokens = tokenizer.encode(prompt);
    ASSERT_EQ(used(tokens), ids) << prompt.substr(0, 300);
    ASSERT_EQ(tokens.ids.size(), 77u);
    if (tokens.used < 77) {
      ASSERT_EQ(tokens.cut, "") << prompt;
    }
  }
}

TEST(ClipTokenizer, equals_transformers_on_two_thousand_prompts) {
  const Tokenizer tokenizer = Tokenizer::from_merges(clip_merges());
  EXPECT_EQ(tokenizer.vocabulary(), 49408);
  EXPECT_EQ(tokenizer.max_length(), 77);
  expect_golden(tokenizer, "clip", 2000);
}

TEST(ClipTokenizer, knows_the_newer_characters_that_transformers_knows) {
  expect_golden(Tokenizer::from_merges(clip_merges()), "newer", 50);
}

Folder clip_folder() {
  Folder folder;
  const TokenizerFiles files = tokenizer_of_merges(clip_merges());
  folder.put("vocab.json", boost::json::serialize(boost::json::value_from(files.vocabulary)));
  folder.put("merges.txt", clip_merges());
  return folder;
}

constexpr char kSd15Config[] = R"({"model_max_length": 77, "pad_token": "<|endoftext|>",
  "bos_token": {"__type": "AddedToken", "content": "<|startoftext|>", "lstrip": false, "normalized": true},
  "eos_token": {"__type": "AddedToken", "content": "<|endoftext|>", "normalized": true, "single_word": false},
  "unk_token": {"__type": "AddedToken", "content": "<|endoftext|>", "normalized": true}})";

TEST(ClipTokenizer, looks_for_normalized_special_tokens_after_normalization) {
  Folder folder = clip_folder();
  expect_golden(Tokenizer::open(folder.put("tokenizer_config.json", kSd15Config).path()), "sd15", 30);
}

TEST(ClipTokenizer, pads_with_the_token_that_the_files_name) {
  Folder folder = clip_folder();
  // SD 2: "!" pads, and so it is a special token in prompts too.
  folder.put("special_tokens_map.json", R"({"pad_token": "!"})");
  const Tokens tokens = Tokenizer::open(folder.path()).encode("a wow! cat");
  EXPECT_EQ(used(tokens), (Ids{49406, 320, 2781, 0, 2368, 49407}));
  EXPECT_EQ(tokens.ids.back(), 0);
  const Tokens plain = Tokenizer::from_merges(clip_merges()).encode("a wow! cat");
  EXPECT_EQ(used(plain), (Ids{49406, 320, 2781, 256, 2368, 49407}));
  EXPECT_EQ(plain.ids.back(), 49407);
}

TEST(ClipTokenizer, learned_words_are_matched_whole) {
  Folder folder = clip_folder();
  folder.put("added_tokens.json", R"({"<cat-toy>": 49408})");
  const Tokenizer tokenizer = Tokenizer::open(folder.path());
  EXPECT_EQ(tokenizer.vocabulary(), 49409);
  EXPECT_EQ(used(tokenizer.encode("a <Cat-Toy>!")), (Ids{49406, 320, 49408, 256, 49407}));
}

TEST(Tokenizer, equals_transformers_with_the_demo_vocabulary) { expect_golden(Tokenizer::open(kDemo), "demo", 100); }

TEST(Tokenizer, invalid_utf8_reads_as_replacement_characters) {
  const Tokenizer tokenizer = Tokenizer::open(kDemo);
  const std::pair<std::string, std::string> rows[] = {{"a\xff"
                                                       "b",
                                                       "a\uFFFDb"},
                                                      {"a\xe6\xb0", "a\uFFFD"},
                                                      {"\xe6\xb0 b", "\uFFFD b"},
                                                      {"\xed\xa0\x80", "\uFFFD\uFFFD\uFFFD"},
                                                      {"\xf5\x80", "\uFFFD\uFFFD"}};
  for (const auto& [bad, good] : rows) EXPECT_EQ(tokenizer.encode(bad).ids, tokenizer.encode(good).ids) << good;
}

TEST(Tokenizer, quotes_what_did_not_fit) {
  const Tokenizer tokenizer = Tokenizer::open(kDemo);
  std::string full;  // 75 tokens: each digit is one
  for (int i = 0; i < 75; ++i) full += "7 ";
  const std::pair<std::string, std::string> rows[] = {
      {"", ""},
      {full, ""},
      {full + " \t\u3000", ""},
      {full + "Caf\u00c9, Fox! ", "Caf\u00c9, Fox!"},
      {"7" + full, "7"},
      {full.substr(0, 148) + "xqzxqz 9", "xqzxqz 9"},  // the word that is torn is quoted whole
      {full + "e\u0301 <|endoftext|>\n", "e\u0301 <|endoftext|>"},
      {full + "<|startoftext|>x", "<|startoftext|>x"},
  };
  for (const auto& [prompt, cut] : rows) {
    const Tokens tokens = tokenizer.encode(prompt);
    EXPECT_EQ(tokens.cut, cut) << prompt;
    EXPECT_EQ(tokens.ids.size(), 77u);
    EXPECT_TRUE(cut.empty() || tokens.used == 77) << prompt;
  }
}

TEST(Tokenizer, very_long_prompts_of_every_shape_come_to_an_end) {
  const Tokenizer tokenizer = Tokenizer::open(kDemo);
  const auto repeated = [](std::string_view text, int count) {
    std::string result;
    for (int i = 0; i < count; ++i) result += text;
    return result;
  };
  // The marks change places, the first U+0301 joins the a, and what is cut begins with the second.
  const std::string marks = "a" + repeated("\u0301", 200'000) + repeated("\u0316", 200'000);
  const std::pair<std::string, size_t> rows[] = {
      {repeated("a", 1 << 20), 0}, {repeated("in", 1 << 19), 0}, {repeated("<|", 1 << 19), 0}, {marks, 3}};
  for (const auto& [prompt, begin] : rows) {
    const Tokens tokens = tokenizer.encode(prompt);
    EXPECT_EQ(tokens.used, 77);
    EXPECT_TRUE(tokens.cut == prompt.substr(begin)) << prompt.substr(0, 9) << "... loses " << tokens.cut.size();
  }
}

// A vocabulary of a, b, their ends, ab, and the special tokens.
constexpr char kVocabulary[] =
    R"({"a": 0, "b": 1, "a</w>": 2, "b</w>": 3, "ab</w>": 4, "<|startoftext|>": 5, "<|endoftext|>": 6})";
Folder small() {
  Folder folder;
  folder.put("vocab.json", kVocabulary);
  folder.put("merges.txt", "#version: 0.2\na b</w>\n");
  return folder;
}
std::string failure(const Folder& folder) {
  try {
    Tokenizer::open(folder.path());
  } catch (const Error& error) {
    return error.what();
  }
  return "opened";
}

TEST(Tokenizer, reads_a_small_folder) {
  const Tokenizer tokenizer = Tokenizer::open(small().put("merges.txt", "#version: 0.2\r\na b</w>\r\n\n").path());
  EXPECT_EQ(tokenizer.vocabulary(), 7);
  EXPECT_EQ(used(tokenizer.encode("AB aab")), (Ids{5, 4, 0, 4, 6}));
  EXPECT_EQ(used(tokenizer.encode("axb")), (Ids{5, 0, 6, 3, 6}));  // what has no token is the unknown token
}

TEST(Tokenizer, reads_tokenizer_json) {
  for (const char* merges : {R"(["a b</w>"])", R"([["a", "b</w>"]])"}) {
    const std::string model = std::string(R"({"added_tokens": [{"id": 7, "content": "<x>", "normalized": false}],
      "model": {"type": "BPE", "end_of_word_suffix": "</w>", "vocab": )") +
                              kVocabulary + R"(, "merges": )" + merges + "}}";
    const Tokenizer tokenizer = Tokenizer::open(Folder().put("tokenizer.json", model).path());
    EXPECT_EQ(tokenizer.vocabulary(), 8);
    EXPECT_EQ(used(tokenizer.encode("a<x>ab")), (Ids{5, 2, 7, 4, 6}));
  }
}

TEST(Tokenizer, length_comes_from_the_config_if_it_makes_sense) {
  const std::pair<const char*, int> rows[] = {{"{}", 77},
                                              {R"({"model_max_length": 1000000000000000019884624838656})", 77},
                                              {R"({"model_max_length": null})", 77},
                                              {R"({"model_max_length": 1e30})", 77},
                                              {R"({"model_max_length": Infinity})", 77},
                                              {R"({"model_max_length": 16})", 16},
                                              {R"({"max_len": 12})", 12}};
  for (const auto& [config, length] : rows) {
    EXPECT_EQ(Tokenizer::open(small().put("tokenizer_config.json", config).path()).max_length(), length) << config;
  }
}

TEST(Tokenizer, merges_that_are_cut_off_are_refused) {
  Folder folder = small();
  folder.put("vocab.json", R"({"a": 0, "b": 1, "a</w>": 2, "b</w>": 3, "ab": 4, "ab</w>": 5, "aab</w>": 6,
    "\u0120": 7, "<|startoftext|>": 8, "<|endoftext|>": 9, "<cat-toy>": 10})");
  const std::string merges = "#version: 0.2\na b\na b</w>\na ab</w>\n";
  EXPECT_EQ(failure(folder.put("merges.txt", merges)), "opened");
  const std::string two = merges.substr(0, merges.size() - 9);
  EXPECT_THAT(failure(folder.put("merges.txt", two)),
              AllOf(HasSubstr("merges.txt is cut off or empty"), HasSubstr("11 entries 1 are made by no merge"),
                    HasSubstr("\"aab</w>\"")));
  for (const char* empty : {"", "\n", "#version: 0.2\n"})
    EXPECT_THAT(failure(folder.put("merges.txt", empty)), AllOf(HasSubstr("3 are made by no"), HasSubstr("\"ab\"")));
  Folder whole = small();
  whole.put("tokenizer.json",
            std::string(R"({"model": {"end_of_word_suffix": "</w>", "vocab": )") + kVocabulary + R"(, "merges": []}})");
  EXPECT_THAT(failure(whole), HasSubstr("tokenizer.json is cut off or empty"));
}

TEST(Tokenizer, files_are_read_up_to_16_mib) {
  for (const char* name : {"vocab.json", "merges.txt", "tokenizer_config.json", "tokenizer.json"}) {
    Folder folder = small();
    folder.put(name, std::string((size_t{16} << 20) + 1, ' '));
    EXPECT_THAT(failure(folder), AllOf(HasSubstr(name), HasSubstr("at most 16777216 are read"))) << name;
  }
}

TEST(Tokenizer, refuses_malformed_files_naming_the_place) {
  struct Row {
    const char *file, *text, *error;
  };
  const Row rows[] = {
      {"vocab.json", "[]", "vocab.json: no object of tokens"},
      {"vocab.json", "{\"a\": 0,\n\"b\" 1}", "vocab.json:2:"},
      {"vocab.json", R"({"a": 0, "b": 0})", "vocab.json: id 0 is both \"a\" and \"b\""},
      {"vocab.json", R"({"a": -1})", "vocab.json: the id of \"a\" is not an integer from 0"},
      {"vocab.json", R"({"a": 99999999999})", "vocab.json: the id of \"a\""},
      {"vocab.json", R"({"a": 1.5})", "vocab.json: the id of \"a\""},
      {"vocab.json", R"({"a": "1"})", "vocab.json: the id of \"a\""},
      {"vocab.json", R"({"a": 0, "b</w>": 1, "ab</w>": 2})", "bos_token \"<|startoftext|>\" is not in the vocabulary"},
      {"merges.txt", "#version: 0.2\na b</w>\nab", "merges.txt:3: a merge is two pieces"},
      {"merges.txt", "#version: 0.2\na b</w> c", "merges.txt:2: a merge is two pieces"},
      {"merges.txt", "a b</w>\n\na b</w>", "merges.txt:2: a merge is two pieces"},
      {"merges.txt", "a b", "merges.txt:1: \"ab\" is not in the vocabulary"},
      {"merges.txt", "c b", "merges.txt:1: \"c\" is not in the vocabulary"},
      {"tokenizer_config.json", "7", "tokenizer_config.json: not a JSON object"},
      {"tokenizer_config.json", R"({"model_max_length": 2})", "model_max_length 2 is not"},
      {"tokenizer_config.json", R"({"model_max_length": "77"})", "model_max_length is not a number"},
      {"tokenizer_config.json", R"({"pad_token": 3})", "tokenizer_config.json: pad_token is neither"},
      {"tokenizer_config.json", R"({"pad_token": "<pad>"})", "pad_token \"<pad>\" is not in the vocabulary"},
      {"tokenizer_config.json", R"({"eos_token": {"content": "b", "lstrip": true}})", "\"lstrip\" is not supported"},
      {"tokenizer_config.json", R"({"added_tokens_decoder": {"x": {"content": "b"}}})", "has a key \"x\""},
      {"special_tokens_map.json", R"({"pad_token": {}})", "special_tokens_map.json: pad_token is neither"},
      {"added_tokens.json", R"({"<x>": 3})", "the added token \"<x>\" has the id 3 of \"b</w>\""},
      {"added_tokens.json", R"({"<x>": -3})", "added_tokens.json: the id of \"<x>\""},
      {"tokenizer.json", R"({"model": {"vocab": {"a": 0}}})", "tokenizer.json: no \"model\""},
      {"tokenizer.json", R"({"model": {"vocab": {"a": 0}, "merges": []}})", "tokenizer.json: not CLIP's"},
  };
  for (const Row& row : rows) EXPECT_THAT(failure(small().put(row.file, row.text)), HasSubstr(row.error)) << row.text;
  Folder missing;
  EXPECT_THAT(failure(missing), HasSubstr("vocab.json"));
  EXPECT_THAT(failure(missing.put("vocab.json", kVocabulary)), HasSubstr("merges.txt"));
  EXPECT_THROW(Tokenizer::open("/no/such/folder"), Error);
  EXPECT_THROW(Tokenizer::from_merges("#version\na b c"), Error);
}

}  // namespace
}  // namespace inkstone
