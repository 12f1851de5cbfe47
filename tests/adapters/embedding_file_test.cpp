// Every form of a textual inversion is read, and what is none, or lies, is refused in one line.
#include "adapters/embedding_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <limits>

#include "base/error.h"
#include "base/file.h"
#include "weights/built_torch_file.h"
#include "weights/safetensors.h"

namespace inkstone {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

const fs::path kStored = fs::path(INKSTONE_SOURCE_DIR) / "tests" / "fixtures" / "embeddings";

TEST(EmbeddingForms, are_all_read) {
  struct Row {
    const char *file, *token;
    int64_t vectors;
  };
  for (const auto& [name, token, vectors] :
       {Row{"mark.pt", "", 3}, Row{"dict.pt", "", 2}, Row{"toy.bin", "<toy>", 1}, Row{"style.safetensors", "", 2},
        Row{"plain.safetensors", "", 1}, Row{"bee_toy.safetensors", "<bee toy>", 2}}) {
    const EmbeddingFile file = read_embedding(kStored / name);
    EXPECT_EQ(file.name, fs::path(name).stem());
    EXPECT_EQ(file.token, token) << name;
    ASSERT_EQ(file.sets.size(), 1u) << name;
    EXPECT_EQ(file.sets[0].count, vectors) << name;
    EXPECT_EQ(file.sets[0].width, 32) << name;
    EXPECT_EQ(file.sets[0].encoder, "");
    EXPECT_EQ(file.hash.size(), 64u);
  }
  const EmbeddingFile xl = read_embedding(kStored / "xl" / "xl.safetensors");
  ASSERT_EQ(xl.sets.size(), 2u);
  EXPECT_EQ(xl.sets[0].encoder, "text_encoder_2");  // clip_g
  EXPECT_EQ(xl.sets[0].width, 40);
  EXPECT_EQ(xl.sets[1].encoder, "text_encoder");
  EXPECT_EQ(xl.sets[1].width, 24);
}

class EmbeddingFiles : public testing::Test {
 protected:
  ~EmbeddingFiles() override { fs::remove(path_); }

  struct Of {
    std::string name;
    Shape shape;
    float value = 0.5f;
  };
  void write(const std::string& text) { write_file(path_, std::as_bytes(std::span(text))); }
  void write(const std::vector<Of>& tensors) {
    std::vector<StoredTensor> stored;
    std::string data;
    for (const Of& of : tensors) {
      stored.push_back({of.name, of.shape, DType::kF32});
      for (int64_t i = 0; i < count(of.shape); ++i) data.append(reinterpret_cast<const char*>(&of.value), 4);
    }
    write(safetensors_header(stored) + data);
  }
  void write_header(const std::string& header, size_t data_bytes) {
    write(little(header.size(), 8) + header + std::string(data_bytes, '\1'));
  }
  std::string error() {
    try {
      read_embedding(path_);
    } catch (const Error& error) {
      const std::string text = error.what();
      EXPECT_THAT(text, HasSubstr(path_.string()));
      EXPECT_EQ(text.find('\n'), text.npos);
      return text;
    }
    return "none";
  }

  const fs::path path_ = fs::temp_directory_path() / ("inkstone_embedding_" + std::to_string(::getpid()) + ".bin");
};

TEST_F(EmbeddingFiles, that_are_none_are_refused) {
  write({{"a", {1, 8}}, {"b", {1, 8}}});
  EXPECT_THAT(error(), HasSubstr("no textual inversion: it has several tensors (a, b)"));
  write({{"string_to_param.*", {1, 8}}, {"string_to_param.+", {1, 8}}});
  EXPECT_THAT(error(), HasSubstr("it has several words' vectors"));
  write(std::vector<Of>{});
  EXPECT_THAT(error(), HasSubstr("it has no tensor of a type that is read"));
  write_header(R"({"emb_params":{"dtype":"I64","shape":[1],"data_offsets":[0,8]}})", 8);
  EXPECT_THAT(error(), HasSubstr("(emb_params is I64)"));
  write("GIF89a");
  EXPECT_NE(error(), "none");
  write("");
  EXPECT_NE(error(), "none");
}

TEST_F(EmbeddingFiles, with_sizes_that_cannot_be_are_refused_before_memory_is_taken) {
  for (const Shape& shape : {Shape{}, Shape{1, 2, 4}}) {
    write({{"emb_params", shape}});
    EXPECT_THAT(error(), HasSubstr("vectors are [width] or [number, width]"));
  }
  write({{"emb_params", {76, 2}}});
  EXPECT_THAT(error(), HasSubstr("has 76 vectors; 1 to 75 fit into a prompt"));
  write({{"emb_params", {0, 8}}});
  EXPECT_THAT(error(), HasSubstr("has 0 vectors"));
  write({{"emb_params", {1, 0}}});
  EXPECT_THAT(error(), HasSubstr("vectors of width 0"));
  write({{"emb_params", {1 << 17}}});
  EXPECT_THAT(error(), HasSubstr("vectors of width 131072"));
  write({{"clip_l", {2, 8}}, {"clip_g", {3, 16}}});
  EXPECT_THAT(error(), HasSubstr("have 3 and 2 vectors"));
}

// The attacks on safetensors, on these files.
TEST_F(EmbeddingFiles, whose_header_lies_are_refused) {
  const auto one = [](const std::string& shape, const std::string& offsets) {
    return R"({"emb_params":{"dtype":"F32","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}}";
  };
  write_header(one("[1,4]", "[0,16]"), 16);
  EXPECT_EQ(error(), "none");
  for (const auto& [shape, offsets] : {std::pair("[1,4]", "[0,12]"),
                                       {"[1,4]", "[0,20]"},
                                       {"[1,4]", "[4,20]"},
                                       {"[1,4]", "[16,0]"},
                                       {"[75,4611686018427387904]", "[0,16]"},
                                       {"[4611686018427387904,4]", "[0,16]"},
                                       {"[-1,4]", "[0,16]"},
                                       {"[1,1e30]", "[0,16]"},
                                       {"[1,4]", "[0,18446744073709551615]"}}) {
    write_header(one(shape, offsets), 16);
    EXPECT_NE(error(), "none") << shape << offsets;
  }
  write(little(std::numeric_limits<uint64_t>::max(), 8) + "{}");
  EXPECT_NE(error(), "none");
  write(little(1 << 30, 8) + "{}");
  EXPECT_NE(error(), "none");
}

TEST_F(EmbeddingFiles, with_numbers_that_are_not_finite_are_refused) {
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    write({{"<a>", {2, 4}, bad}});
    EXPECT_THAT(error(), HasSubstr("is NaN or infinite at 0: the file is damaged"));
  }
}

TEST_F(EmbeddingFiles, whose_pickle_lies_or_calls_are_refused) {
  const auto of = [](const std::string& tensor) {
    return built_torch_file(whole_pickle(pickled_dict({{"string_to_param", pickled_dict({{"*", tensor}})}})));
  };
  const std::string storage = pickled_storage("FloatStorage", "0", 6);
  write(of(pickled_tensor(storage, 0, {2, 3}, {3, 1})));
  ASSERT_EQ(error(), "none");
  EXPECT_THAT(read_embedding(path_).sets[0].values, ElementsAre(0, 0, 0, 0, 0, 0));
  write(of(pickled_tensor(storage, 0, {3, 2}, {1, 3})));  // with strides
  EXPECT_EQ(error(), "none");
  for (const auto& [shape, strides] : {std::pair(std::vector<int64_t>{3, 3}, std::vector<int64_t>{3, 1}),
                                       {{75, int64_t{1} << 40}, {0, 0}},
                                       {{int64_t{1} << 62, 4}, {1, 1}}}) {
    write(of(pickled_tensor(storage, 0, shape, strides)));
    EXPECT_NE(error(), "none");
  }
  write(of("cos\nsystem\n(" + pickled_text("touch /tmp/inkstone_evil") + "tR"));
  EXPECT_THAT(error(), AllOf(HasSubstr("no textual inversion"), HasSubstr("an object of os.system")));
  EXPECT_FALSE(fs::exists("/tmp/inkstone_evil"));
}

}  // namespace
}  // namespace inkstone
