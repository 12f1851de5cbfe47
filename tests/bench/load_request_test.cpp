// Requests from flags and files, their words in each API, and the images in the answers.
#include "load/load_request.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "base/image.h"
#include "load/call.h"
#include "load/dialect.h"
#include "load/event_stream.h"
#include "load/hash_store.h"
#include "support/scratch_folder.h"

namespace inkstone {
namespace {

std::string png_of(uint8_t shade, int side = 2) {
  Image image{side, side, std::vector<uint8_t>(static_cast<size_t>(side) * side * 3, shade)};
  const std::vector<std::byte> bytes = encode_png(image, {{"parameters", "Steps: " + std::to_string(shade)}});
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

class Scratch {
 public:
  std::string file(const std::string& name, const std::string& text) const {
    if (!text.empty()) folder_.write(name, text);
    return folder_.path() / name;
  }

 private:
  ScratchFolder folder_;
};

TEST(Choice, draws_what_was_listed) {
  Dice dice(1);
  std::set<double> seen;
  for (int i = 0; i < 400; ++i) seen.insert(Choice("4,8-10", "--steps").draw_whole(dice));
  EXPECT_EQ(seen, (std::set<double>{4, 8, 9, 10}));
  for (int i = 0; i < 100; ++i) {
    const double drawn = Choice("3.5-7.5", "--guidance").draw(dice);
    EXPECT_TRUE(drawn >= 3.5 && drawn <= 7.5) << drawn;
  }
  for (const char* wrong : {"", "x", "8-4", "4-", "1e999", "4,,x"})
    EXPECT_THROW(Choice(wrong, "--steps"), UsageError) << wrong;
}

TEST(Requests, are_drawn_by_the_seed_and_differ) {
  Mix mix{.prompts = {"a fox", "a bee"}, .sizes = "64,128x64", .steps = "2-6", .guidance = "1,3", .distinct = 40};
  const std::vector<LoadRequest> requests = draw_requests(mix), again = draw_requests(mix);
  std::set<std::string> keys;
  std::set<int> widths;
  for (size_t i = 0; i < requests.size(); ++i) {
    EXPECT_EQ(requests[i].key(), again[i].key());
    keys.insert(requests[i].key());
    widths.insert(requests[i].width);
  }
  EXPECT_EQ(keys.size(), 40u);
  EXPECT_EQ(widths, (std::set<int>{64, 128}));
}

TEST(Requests, a_file_is_read_line_by_line) {
  const Scratch scratch;
  const auto requests = read_requests(scratch.file("a.jsonl",
                                                   "# day one\n{\"prompt\":\"a fox\",\"seed\":18446744073709551615,"
                                                   "\"slo_ms\":1500,\"time\":0.5}\n\n{\"width\":64,\"height\":64}\n"));
  ASSERT_EQ(requests.size(), 2u);
  EXPECT_EQ(requests[0].seed, 18446744073709551615ull);
  EXPECT_EQ(requests[0].slo, 1.5);
  EXPECT_EQ(requests[0].at, 0.5);
  EXPECT_EQ(requests[1].width, 64);
  for (const char* wrong : {"{\"promt\":\"x\"}\n", "[]\n", "{\"width\":\"x\"}\n", "\n", "{\"seed\":-1}\n"})
    EXPECT_THROW(read_requests(scratch.file("b.jsonl", wrong)), Error) << wrong;
}

TEST(Requests, when_and_how_fast_is_not_part_of_the_key) {
  LoadRequest a, b;
  b.slo = 2;
  b.at = 1;
  b.priority = "high";
  EXPECT_EQ(a.key(), b.key());
  b.guidance = 1;
  EXPECT_NE(a.key(), b.key());
}

TEST(Dialect, each_api_has_its_words) {
  LoadRequest request;
  request.prompt = "a fox";
  request.width = request.height = 64;
  request.steps = 4;
  request.guidance = 3;
  request.slo = 2;
  const HttpText own = written(request, {.dialect = Dialect::kGenerate, .deadlines = true});
  EXPECT_EQ(own.path, "/generate");
  EXPECT_NE(own.body.find("\"num_inference_steps\":4"), std::string::npos);
  EXPECT_NE(own.body.find("\"deadline_ms\":2000"), std::string::npos);
  const HttpText openai = written(request, {.dialect = Dialect::kOpenAi, .model = "sd"});
  EXPECT_EQ(openai.path, "/v1/images/generations");
  EXPECT_NE(openai.body.find("\"size\":\"64x64\""), std::string::npos);
  const HttpText a1111 = written(request, {.dialect = Dialect::kA1111});
  EXPECT_EQ(a1111.path, "/sdapi/v1/txt2img");
  EXPECT_NE(a1111.body.find("\"cfg_scale\":3"), std::string::npos);
  EXPECT_THROW(dialect("comfy"), UsageError);
}

TEST(Dialect, images_are_found_in_every_answer) {
  for (const char* answer : {R"({"image":"data:image/png;base64,QUJD"})", R"({"images":["QUJD"],"info":"{}"})",
                             R"({"created":1,"data":[{"b64_json":"QUJD"}]})", R"({"images":[{"image":"QUJD"}]})"})
    EXPECT_EQ(images_of(answer), (std::vector<std::string>{"ABC"})) << answer;
  for (const char* answer : {"{}", "[]", R"({"data":[{"url":"http://x"}]})", R"({"image":"Q!"})", "{"})
    EXPECT_THROW(images_of(answer), Error) << answer;
  EXPECT_EQ(from_base64("QQ=="), "A");
  EXPECT_EQ(from_base64("QUI="), "AB");
}

TEST(Hashes, are_of_pixels_alone_and_hold_later_ones_against_the_first) {
  EXPECT_EQ(pixel_hash(png_of(7)).size(), 64u);
  EXPECT_NE(pixel_hash(png_of(7)), pixel_hash(png_of(8)));
  EXPECT_NE(pixel_hash(png_of(7, 2)), pixel_hash(png_of(7, 4)));
  EXPECT_THROW(pixel_hash("no image"), Error);

  HashStore store;
  EXPECT_EQ(store.check("a", "1"), HashStore::Verdict::kNew);
  EXPECT_EQ(store.check("a", "1"), HashStore::Verdict::kSame);
  EXPECT_EQ(store.check("a", "2"), HashStore::Verdict::kDifferent);
  EXPECT_EQ(store.check("a", "1"), HashStore::Verdict::kSame);
  store.check("with \"quotes\"\n", "3");
  const Scratch scratch;
  const std::string path = scratch.file("hashes.json", "");
  store.write(path);
  HashStore other;
  other.read(path);
  EXPECT_EQ(other.size(), 2u);
  EXPECT_EQ(other.check("with \"quotes\"\n", "3"), HashStore::Verdict::kSame);
  HashStore contradicting;
  contradicting.check("a", "9");
  EXPECT_THROW(contradicting.read(path), Error);
}

TEST(EventStream, is_read_however_it_is_cut) {
  const std::string text =
      ": ping\n\nevent: step\r\ndata: {\"call\":1}\r\n\r\nid: 4\ndata: a\ndata: b\n\nevent: "
      "lost\n\nevent:done\ndata:\n\n";
  for (size_t cut = 1; cut <= text.size(); ++cut) {
    std::vector<std::pair<std::string, std::string>> events;
    EventStream stream([&](const std::string& name, const std::string& data) { events.emplace_back(name, data); });
    for (size_t i = 0; i < text.size(); i += cut) stream.add(std::string_view(text).substr(i, cut));
    EXPECT_EQ(events,
              (std::vector<std::pair<std::string, std::string>>{{"step", "{\"call\":1}"}, {"", "a\nb"}, {"done", ""}}))
        << cut;
  }
}

TEST(Target, is_this_machine_unless_allowed) {
  EXPECT_EQ(target_of("http://127.0.0.1:8080", false).endpoint.port(), 8080);
  EXPECT_EQ(target_of("http://localhost:81/", false).endpoint.port(), 81);
  EXPECT_EQ(target_of("http://[::1]:82", false).host, "[::1]:82");
  EXPECT_EQ(target_of("http://192.0.2.1:1", true).endpoint.port(), 1);
  for (const char* url :
       {"http://192.0.2.1:1", "http://example.com", "https://127.0.0.1", "http://127.0.0.1:0", "http://127.0.0.1:99999",
        "http://127.0.0.1:8x", "http://127.0.0.1/path", "http://127.0.0.1:"})
    EXPECT_THROW(target_of(url, false), UsageError) << url;
}

}  // namespace
}  // namespace inkstone
