// The head of an `.om` and what ATC says of one; nothing in them is believed.
#include "atc/om_file.h"

#include <gtest/gtest.h>

#include "atc/fake_atc.h"
#include "atc/om_info.h"
#include "base/error.h"

namespace inkstone {
namespace {

OmHeader parse(const std::string& text) { return parse_om_header(std::as_bytes(std::span(text)), text.size(), "a.om"); }

std::string with(size_t offset, const std::string& bytes) { return om_bytes(10).replace(offset, bytes.size(), bytes); }

TEST(OmFile, tells_what_its_head_says) {
  const OmHeader header = parse(om_bytes(10));
  EXPECT_EQ(header.model_bytes, 10u);
  EXPECT_EQ(header.name, "step");
  EXPECT_EQ(header.platform_version, "7.7.0");
  EXPECT_FALSE(header.is_dynamic);
  EXPECT_FALSE(header.is_host_bound);
  EXPECT_TRUE(parse(with(193, "\x01")).is_dynamic);
  EXPECT_TRUE(parse(with(192, "\x01")).is_host_bound);
  EXPECT_EQ(parse(with(84, std::string(32, '\xff'))).name, std::string(32, '?'));
  EXPECT_EQ(parse(with(184, std::string(8, '\0'))).model_bytes, 10u);  // of older CANN
}

TEST(OmFile, what_is_wrong_is_named_with_file_offset_and_number) {
  const std::pair<std::string, const char*> rows[] = {
      {"", "a.om is no .om: it has 0 bytes"},
      {om_bytes(10).substr(0, 255), "it has 255 bytes, the header alone has 256"},
      {with(0, "PK"), "at offset 0"},
      {with(5, "\x02"), "at offset 4 the header's size is 512"},
      {with(80, "\x01"), "encrypted"},
      {om_bytes(10).substr(0, 260),
       "at offset 184 the model is said to have 10 bytes, 4 follow the header: the file is cut off"},
      {om_bytes(10) + "x", "not as ATC wrote it"},
      {with(184, std::string(8, '\xff')), "18446744073709551615"}};
  for (const auto& [text, message] : rows) {
    try {
      parse(text);
      ADD_FAILURE() << message;
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find(message), std::string::npos) << error.what();
    }
  }
}

TEST(OmFile, a_record_has_the_sum_that_sha256sum_prints) {
  const TestFolder folder;
  const FileRecord record = record_of(folder.write("a.bin", "abc"));
  EXPECT_EQ(record.file, "a.bin");
  EXPECT_EQ(record.bytes, 3u);
  EXPECT_EQ(record.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(record_of(folder.write("empty", "")).bytes, 0u);
}

TEST(OmInfo, reads_what_atc_prints) {
  const OmInfo info = parse_om_info(
      "ATC start working now, please wait for a moment.\n"
      "============ Display Model Info start ============\n"
      "Original Atc command line: /usr/local/Ascend/ascend-toolkit/8.0.0/aarch64-linux/bin/atc.bin --framework=5 "
      "--model=./yolo26n.onnx --soc_version=Ascend310B4 --log=info\n"
      "system   info: atc_version[7.6.0.1.220], soc_version[Ascend310B4], framework_type[Onnx].\n"
      "resource info: memory_size[24123392 B], weight_size[5170176 B], stream_num[1], event_num[0].\n"
      "om       info: modeldef_size[752511 B], weight_data_size[5170177 B], tbe_kernels_size[393461 B].\n"
      "ATC run success, welcome to the next use.\n");
  EXPECT_EQ(info.soc, "Ascend310B4");
  EXPECT_EQ(info.atc, "7.6.0.1.220");
  EXPECT_EQ(info.work_bytes, 24123392u);
  EXPECT_EQ(info.weight_bytes, 5170176u);
}

TEST(OmInfo, our_own_lines_are_read_again_and_no_path_leaves_the_folder) {
  OmInfo info;
  info.recipe = "ab";
  info.cann = "8.1.RC1";
  info.files = {{"a.om", 7, "cd"}, {"weight/weight_1f", 8, "ef"}};
  const OmInfo again =
      parse_om_info(own_lines(info) + "file 00 1 ../../a\nfile 00 1 /etc/a\nfile\nresource info: memory_size[x]");
  EXPECT_EQ(own_lines(again), own_lines(info));
  EXPECT_EQ(again.work_bytes, 0u);
}

}  // namespace
}  // namespace inkstone
