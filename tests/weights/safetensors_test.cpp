// The format is read as written, and a file that lies is refused with what is wrong, before it can cost memory.
#include "weights/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "base/error.h"

namespace inkstone {
namespace {

using testing::HasSubstr;

std::string length_bytes(uint64_t length) {
  std::string text(8, '\0');
  for (size_t i = 0; i < 8; ++i) text[i] = static_cast<char>(length >> (8 * i));
  return text;
}

std::string file_of(const std::string& header, size_t data_bytes) {
  return length_bytes(header.size()) + header + std::string(data_bytes, '\1');
}

ParsedTensors parse(const std::string& file) {
  return parse_safetensors(std::as_bytes(std::span(file)), "a.safetensors");
}

std::string error_of(const std::string& file) {
  try {
    parse(file);
  } catch (const Error& error) {
    return error.what();
  }
  return "accepted";
}

std::string tensor(const std::string& dtype, const std::string& shape, const std::string& offsets) {
  return R"({"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}";
}

TEST(Safetensors, what_was_written_is_read) {
  const std::vector<StoredTensor> stored = {
      {"a", {2, 3}, DType::kF32}, {"b.weight", {}, DType::kBF16}, {"c", {5}, DType::kF16}};
  const std::string file =
      safetensors_header(stored) + std::string(24, 'a') + std::string(2, 'b') + std::string(10, 'c');
  EXPECT_EQ(safetensors_header(stored).size() % 8, 0u);
  const ParsedTensors parsed = parse(file);
  ASSERT_EQ(parsed.tensors.size(), 3u);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(parsed.tensors[i].name, stored[i].name);
    EXPECT_EQ(parsed.tensors[i].shape, stored[i].shape);
    EXPECT_EQ(parsed.tensors[i].type, stored[i].type);
    EXPECT_EQ(static_cast<char>(parsed.tensors[i].bytes[0]), "abc"[i]);
  }
}

TEST(Safetensors, integers_may_be_present_and_are_not_read) {
  const std::string header =
      R"({"ids":)" + tensor("I64", "[1,2]", "[0,16]") + R"(,"w":)" + tensor("F16", "[2]", "[16,20]") + "}";
  const ParsedTensors parsed = parse(file_of(header, 20));
  ASSERT_EQ(parsed.tensors.size(), 1u);
  EXPECT_EQ(parsed.tensors[0].name, "w");
  EXPECT_EQ(parsed.unread, (std::vector<std::pair<std::string, std::string>>{{"ids", "I64"}}));
}

TEST(Safetensors, the_order_in_the_header_is_free) {
  const std::string header = R"({"b":)" + tensor("F32", "[1]", "[4,8]") + R"(,"__metadata__":{"format":"pt"},"a":)" +
                             tensor("F32", "[1]", "[0,4]") + "}   ";
  EXPECT_EQ(parse(file_of(header, 8)).tensors[0].name, "a");
}

TEST(Safetensors, a_file_without_tensors_is_accepted) { EXPECT_EQ(error_of(file_of("{}", 0)), "accepted"); }

TEST(Safetensors, a_length_that_lies_is_refused) {
  const std::pair<std::string, std::string> rows[] = {
      {"", "has 0 bytes, too few"},
      {"1234567", "has 7 bytes, too few"},
      {length_bytes(0), "says its header has 0 bytes"},
      {length_bytes(1) + "{", "says its header has 1 bytes"},
      {length_bytes(100) + "{}",
       "ends at byte 10, inside its header, which runs to byte 108: the download is incomplete"},
      {length_bytes(100'000'001) + "{}", "says its header has 100000001 bytes, at most 100000000"},
      {length_bytes(uint64_t{1} << 63) + "{}", "says its header has 9223372036854775808 bytes"},
      {length_bytes(UINT64_MAX) + "{}", "says its header has 18446744073709551615 bytes"},
      {"version https://git-lfs.github.com/spec/v1\noid", "is a Git LFS pointer"},
      {"PK\x03\x04" + std::string(100, 'x'), "is a zip file"},
      {"\x80\x02}q" + std::string(100, 'x'), "is a Python pickle that is no file of PyTorch's"},
      {"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.", "PyTorch's form from before 1.6"},
      {std::string(257, 'x') + "ustar" + std::string(250, '\0'), "is a tar file"},
      {"<!DOCTYPE html><html>", "is a web page"},
  };
  for (const auto& [file, want] : rows)
    EXPECT_THAT(error_of(file), testing::AllOf(HasSubstr("a.safetensors"), HasSubstr(want)));
}

TEST(Safetensors, a_header_of_any_length_is_read) {
  // 640 is 0x280 and 66176 is 0x10280, as a pickle begins; 0x3c is '<', as a web page does.
  for (const size_t length : {640, 66'176, 60, 316}) {
    std::string header = R"({"w":)" + tensor("F32", "[2]", "[0,8]") + "}";
    header.resize(length, ' ');
    EXPECT_EQ(error_of(file_of(header, 8)), "accepted") << length;
    EXPECT_THAT(error_of(file_of(header, 7)), HasSubstr("the download is incomplete")) << length;
  }
}

TEST(Safetensors, tensors_without_elements_are_read) {
  const std::string header = R"({"scaled_fp8":)" + tensor("F8_E4M3", "[0]", "[0,0]") + R"(,"w":)" +
                             tensor("F32", "[2]", "[0,8]") + R"(,"none":)" + tensor("F16", "[3,0]", "[8,8]") + "}";
  const ParsedTensors parsed = parse(file_of(header, 8));
  ASSERT_EQ(parsed.tensors.size(), 3u);
  EXPECT_EQ(parsed.tensors[0].name, "scaled_fp8");
  EXPECT_EQ(parsed.tensors[1].name, "w");
  EXPECT_EQ(parsed.tensors[2].shape, (Shape{3, 0}));
  EXPECT_TRUE(parsed.tensors[2].bytes.empty());
}

TEST(Safetensors, a_header_that_is_no_header_is_refused) {
  const std::pair<std::string, std::string> rows[] = {
      {"xx", "a.safetensors (header):1:1: malformed JSON"},
      {"[]", "the header is not a JSON object"},
      {"{\"a\":1}", "the tensor a is described by something that is no object"},
      {"{\"a\":{}}", "the tensor a has no \"dtype\""},
      {"{\"a\":{\"dtype\":\"F32\"}}", "has no \"shape\""},
      {"{\"a\":{\"dtype\":\"F32\",\"shape\":[]}}", "has no \"data_offsets\""},
      {"{\"a\":{\"dtype\":7,\"shape\":[],\"data_offsets\":[0,4]}}", "dtype is not a string"},
      {"{\"a\\nb\":{}}", "the tensor a?b has"},
      {R"({"a":)" + tensor("F32", "[1]", "[0,4]") + R"(,"a":)" + tensor("F32", "[1]", "[4,8]") + "}",
       "the key \"a\" stands twice"},
      {R"({"a":)" + std::string(1000, '[') + std::string(1000, ']') + "}", "nested more than 64 levels"},
      {"{\"a\":\"" + std::string(100'001, '{') + "\"}", "has more than 100000 tensors"},
      {"{\"a\":\"" + std::string(1'000'001, ',') + "\"}", "has more than 1000000 values"},
      {std::string("{\"a\xff\":1}"), "UTF-8"},
  };
  for (const auto& [header, want] : rows)
    EXPECT_THAT(error_of(file_of(header, 8)), HasSubstr(want)) << header.substr(0, 80);
}

TEST(Safetensors, a_tensor_that_lies_is_refused) {
  struct Row {
    const char *dtype, *shape, *offsets, *want;
  };
  const Row rows[] = {
      {"F33", "[2]", "[0,8]", "the tensor w has the dtype F33; F32, F16, BF16, F8_E4M3 and F8_E5M2 are read"},
      {"F32", "2", "[0,8]", "shape is not a list"},
      {"F32", "[-2]", "[0,8]", "a size in its shape is negative: -2"},
      {"F32", "[2.0]", "[0,8]", "a size in its shape is not a whole number"},
      {"F32", "[\"2\"]", "[0,8]", "is not a whole number"},
      {"F32", "[1e1]", "[0,8]", "is not a whole number"},
      {"F32", "[18446744073709551615]", "[0,8]", "the size 18446744073709551615 in its shape is too large"},
      {"F32", "[0,2]", "[0,8]", "has 8 bytes where [0, 2] of F32 needs 0"},
      {"F32", "[4611686018427387904,4]", "[0,8]", "more bytes than can be counted"},
      {"F32", "[4611686018427387904,4,4]", "[0,0]", "more bytes than can be counted"},
      {"F32", "[4611686018427387904]", "[0,0]", "more bytes than can be counted"},
      {"F32", "[2]", "[0,9]", "has 9 bytes where [2] of F32 needs 8"},
      {"F16", "[2]", "[0,8]", "has 8 bytes where [2] of F16 needs 4"},
      {"I64", "[2]", "[0,8]", "has 8 bytes where [2] of I64 needs 16"},
      {"F32", "[2]", "[8,0]", "begins at byte 8 and ends before it, at 0"},
      {"F32", "[2]", "[0]", "is not a list of two numbers"},
      {"F32", "[2]", "[0,8,8]", "is not a list of two numbers"},
      {"F32", "[2]", "[-8,0]", "its first offset is negative"},
      {"F32", "[2]", "[0,8.0]", "its last offset is not a whole number"},
      {"F32", "[2]", "[4,12]", "a hole of 4 bytes between the header and the tensor w"},
      {"F32", "[2]", "[18446744073709551607,18446744073709551615]", "a hole of 18446744073709551607 bytes"},
      {"F32", "[4]", "[0,16]", "its header promises"},
      {"F32", "[1]", "[0,4]", "has 4 bytes after its last tensor"},
  };
  for (const Row& row : rows) {
    const std::string header = R"({"w":)" + tensor(row.dtype, row.shape, row.offsets) + "}";
    EXPECT_THAT(error_of(file_of(header, 8)), testing::AllOf(HasSubstr("a.safetensors"), HasSubstr(row.want)))
        << header;
  }
}

TEST(Safetensors, tensors_may_neither_overlap_nor_leave_a_hole) {
  const auto two = [](const char* first, const char* second) {
    return file_of(R"({"a":)" + tensor("F32", "[1]", first) + R"(,"b":)" + tensor("F32", "[1]", second) + "}", 8);
  };
  EXPECT_EQ(error_of(two("[4,8]", "[0,4]")), "accepted");
  EXPECT_THAT(error_of(two("[0,4]", "[0,4]")), HasSubstr("the tensors a and b overlap at byte 0"));
  EXPECT_THAT(error_of(two("[0,4]", "[3,7]")), HasSubstr("overlap at byte 3"));
  EXPECT_THAT(error_of(two("[0,4]", "[5,9]")), HasSubstr("a hole of 1 bytes between a and the tensor b"));
}

TEST(Safetensors, a_truncated_download_is_called_that_wherever_it_ends) {
  const std::vector<StoredTensor> stored = {{"a", {100}, DType::kF32}};
  const std::string whole = safetensors_header(stored) + std::string(400, '\0');
  ASSERT_EQ(error_of(whole), "accepted");
  for (size_t size = 8; size < whole.size(); ++size)
    EXPECT_THAT(error_of(whole.substr(0, size)),
                testing::AllOf(HasSubstr("ends at byte " + std::to_string(size)), HasSubstr("download it again")));
}

}  // namespace
}  // namespace inkstone
