// What gateway and worker tell each other arrives as it was said, or not at all.
#include "serve/wire/wire.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json/serialize.hpp>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <limits>

#include "serve/wire/message_fields.h"
#include "serve/wire/packet.h"

namespace inkstone::serve {

struct Any {  // stands for any member
  template <typename T>
  operator T() const;
};

namespace {

using ::testing::HasSubstr;

struct Pair {
  Descriptor left, right;
  Pair() {
    int both[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, both), 0);
    left = Descriptor(both[0]);
    right = Descriptor(both[1]);
  }
};

size_t open_files() {
  size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) ++count;
  return count;
}

Image striped(int width, int height, int first) {
  Image image{width, height, {}};
  for (int i = 0; i < 3 * width * height; ++i) image.rgb.push_back(static_cast<uint8_t>(first + 7 * i));
  return image;
}

ImageRequest odd_request() {
  return {.prompt = "a fox \"in\" quotes\\ \n\t\x01\x7f \xf0\x9f\xa6\x8a",
          .negative_prompt = std::string("nul\0within", 10),
          .prompt_syntax = "comfy",
          .clip_skip = 2,
          .seed = UINT64_MAX,
          .steps = 37,
          .guidance_scale = std::nextafter(7.5f, 8.0f),
          .guidance_rescale = 0.7f,
          .scheduler = "dpm++-2m",
          .schedule = "karras",
          .karras = true,
          .eta = 0.1f,
          .width = 768,
          .height = std::nullopt,
          .cache_interval = 3,
          .guidance_interval = Interval{0.1f, 0.7f},
          .control =
              std::vector<ControlUse>{{"edges", given_file("a hint", "hint"), std::nextafter(0.5f, 1.0f), 0.1f, 0.9f},
                                      {"d\"epth", given_file("", "none"), 0, 0, 1}},
          .control_guess = true,
          .image = given_file(std::string("any\0bytes", 9), "a \"file\""),
          .strength = std::nextafter(0.5f, 1.0f),
          .resize_mode = "crop",
          .hires = std::nextafter(2.0f, 3.0f),
          .hires_strength = 0.1f,
          .hires_steps = 3,
          .hires_upscaler = "lanczos",
          .upscaler = "a \"x4\"",
          .second_upscaler = "bicubic",
          .second_upscaler_part = 0.1f,
          .mask = given_file("a mask", "m"),
          .mask_invert = true,
          .mask_blur = 3,
          .mask_fill = "zeros",
          .only_masked = true,
          .padding = 5,
          .outpaint = "top=1",
          .keep_size = true};
}

ModelCard odd_card() {
  ModelCard card;
  card.name = "demo";
  card.hash = std::string(64, 'f');
  card.parameters = int64_t{1} << 53 | 1;
  card.created = -1;
  card.fingerprint = "a print";
  card.file = "demo.safetensors";
  card.shape = "unet 1 F16";
  card.tokens = 75;
  card.traits = {.steps = 3,
                 .guidance_scale = 1e-38f,
                 .width = 1,
                 .height = 2,
                 .size_multiple = 64,
                 .distilled = true,
                 .sdxl = true,
                 .refiner = true,
                 .text_layers = 12,
                 .controls = {{"edges", 0, 1}, {"sk\"etch", 4, 64}},
                 .upscalers = {{"x4", 4}, {"an \"odd\" one", 1}},
                 .scheduler = std::make_shared<const Json>(JsonObject{{"beta_start", 0.1 + 0.2}}),
                 .scheduler_file = "a file"};
  card.limits = {9, INT64_MAX, 8, SIZE_MAX, false};
  card.embeddings = {{"easynegative", 8, 768, false}, {"an \"odd\" one", 0, 0, true}};
  return card;
}

Variant odd_variant() {
  return {"a <lora:b:1>\na\n0123",
          {"/models/a b.safetensors", "a state"},
          {{"/l/b", "its", std::nextafter(1.0f, 2.0f), -0.0f}}};
}

DeviceFigures odd_figures() { return {SIZE_MAX, 1, 2, 0.1 + 0.2, "ok"}; }

template <typename Message>
std::string text_of(const Message& message, FieldWriter::Parts& images) {
  return boost::json::serialize(std::visit([&](const auto& m) { return FieldWriter::object_of(m, &images); }, message));
}

// That texts and pixels are equal says all where each member has its field.
template <typename Message>
void expect_equal(const Message& got, const Message& sent) {
  ASSERT_EQ(got.index(), sent.index());
  FieldWriter::Parts got_images, sent_images;
  EXPECT_EQ(text_of(got, got_images), text_of(sent, sent_images));
  ASSERT_EQ(got_images.spans.size(), sent_images.spans.size());
  for (size_t i = 0; i < got_images.spans.size(); ++i)
    EXPECT_TRUE(std::ranges::equal(got_images.spans[i], sent_images.spans[i])) << i;
}

template <typename T, typename... Filled>
consteval size_t members() {
  if constexpr (requires { T{Filled{}..., Any{}}; })
    return members<T, Filled..., Any>();
  else
    return sizeof...(Filled);
}

template <typename T>
void expect_a_field_for_each_member(const T& value = {}) {
  FieldWriter::Parts images;
  EXPECT_EQ(FieldWriter::object_of(value, &images).size(), members<T>()) << __PRETTY_FUNCTION__;
}

TEST(Wire, has_a_field_for_each_member) {
  expect_a_field_for_each_member<ImageRequest>();
  expect_a_field_for_each_member<Interval>();
  expect_a_field_for_each_member<ModelTraits>();
  expect_a_field_for_each_member<RequestLimits>();
  expect_a_field_for_each_member<ModelCard>();
  expect_a_field_for_each_member<ModelFile>();
  expect_a_field_for_each_member<VariantAdapter>();
  expect_a_field_for_each_member<Variant>();
  expect_a_field_for_each_member<LoadedVariants>();
  expect_a_field_for_each_member<DescribeCommand>();
  expect_a_field_for_each_member<Described>();
  expect_a_field_for_each_member<KnownHash>();
  expect_a_field_for_each_member<StartCommand>();
  expect_a_field_for_each_member<StepCommand>();
  expect_a_field_for_each_member<FinishCommand>();
  expect_a_field_for_each_member<DropCommand>();
  expect_a_field_for_each_member<JobFault>();
  expect_a_field_for_each_member<Preview>({1, 1, striped(1, 1, 0)});
  expect_a_field_for_each_member<DeviceFigures>();
  expect_a_field_for_each_member<BatchTime>({1, 1});
  expect_a_field_for_each_member<ShapeTimes>();
  expect_a_field_for_each_member<Hello>();
  expect_a_field_for_each_member<Started>();
  expect_a_field_for_each_member<Stepped>();
  expect_a_field_for_each_member<DidNotFit>();
  expect_a_field_for_each_member<Finished>({1, 1, striped(1, 1, 0), std::nullopt});
  expect_a_field_for_each_member<Failed>();
  expect_a_field_for_each_member<Unusable>();
}

TEST(Wire, brings_every_order_as_it_was) {
  ImageRequest long_request;
  long_request.prompt = std::string(16 << 10, '\x01');  // six bytes each, escaped
  long_request.negative_prompt = std::string(16 << 10, '\x02');
  const std::vector<WorkerCommand> commands{StartCommand{UINT64_MAX, odd_request(), odd_variant(), 3, 7, true},
                                            StartCommand{1, {}, {}},
                                            StartCommand{2, long_request, {}},
                                            StepCommand{{1, UINT64_MAX, 3}, {3}},
                                            StepCommand{},
                                            FinishCommand{7},
                                            DropCommand{{}},
                                            DropCommand{{1, 2}},
                                            DescribeCommand{{"/models/a b.safetensors", "a state"}}};
  Pair pair;
  for (const WorkerCommand& command : commands) {
    send_command(pair.left.get(), command);
    const auto got = receive_command(pair.right.get());
    ASSERT_TRUE(got);
    expect_equal(*got, command);
  }
}

TEST(Wire, brings_every_report_as_it_was_with_its_pixels) {
  Hello hello{"npu:0",
              "a card",
              "fp16",
              odd_card(),
              {"/m", "s"},
              3,
              {{512, 768, {{2, 0.1}, {4, 1e-300}}, 0.25, 1.0 / 3}},
              {"a", "b"},
              odd_figures()};
  const LoadedVariants loaded{0.1 + 0.2, {"a\na\nb", "c"}};
  Stepped stepped{0.1, {{5, "nan_output", "the U-Net gave NaN"}}, {}, odd_figures(), loaded};
  for (int i = 0; i < 3; ++i) stepped.previews.push_back({JobId(i), i, striped(8 + i, 4, i)});
  const std::vector<WorkerReport> reports{
      hello,
      Started{1, 0.5, 1, 21, {"cut \xc3\xa9"}, "<lora:a:1>", "a: 0123", "mark: 4567", loaded},
      Stepped{},
      stepped,
      DidNotFit{},
      Finished{9, 2.5, striped(512, 512, 3), std::nullopt, loaded, {{"/m", "0123"}}},
      Failed{{4, "bad_request", "no"}, std::nullopt},
      Described{odd_card(), {{1, 2, {}, 3, 4, true}}, ""},
      Described{std::nullopt, {}, "no model"},
      Unusable{"gone"}};
  Pair pair;
  const size_t before = open_files();
  for (const WorkerReport& report : reports) {
    send_report(pair.left.get(), report);
    const auto got = receive_report(pair.right.get());
    ASSERT_TRUE(got);
    expect_equal(*got, report);
  }
  EXPECT_EQ(open_files(), before);
}

TEST(Wire, keeps_every_bit_of_numbers) {
  Pair pair;
  std::vector<float> floats{0.0f, -0.0f, std::numeric_limits<float>::denorm_min(), std::numeric_limits<float>::max()};
  for (uint32_t bits = 1; bits < 0x7f000000u; bits += 0x01357911u) {
    float value;
    std::memcpy(&value, &bits, sizeof value);
    floats.push_back(value);
  }
  for (const float value : floats) {
    ImageRequest request;
    request.guidance_scale = value;
    request.eta = -value;
    send_command(pair.left.get(), StartCommand{1, request});
    const auto command = std::get<StartCommand>(receive_command(pair.right.get()).value());
    EXPECT_EQ(std::memcmp(&*command.request.guidance_scale, &*request.guidance_scale, sizeof(float)), 0) << value;
    EXPECT_EQ(std::memcmp(&*command.request.eta, &*request.eta, sizeof(float)), 0) << value;
  }
}

TEST(Wire, refuses_what_is_no_message) {
  const std::string finish = "\"finish\":{\"job\":1}", start = boost::json::serialize(FieldWriter::object_of([] {
                                                         ImageRequest request;
                                                         request.seed = 42;
                                                         request.width = 512;
                                                         return request;
                                                       }()));
  std::string width = start, seed = start, eta = start;
  width.replace(width.find("512"), 3, "5e2");
  seed.replace(seed.find("42"), 2, "18446744073709551616");
  eta.replace(eta.find("\"eta\":null") + 6, 4, "1e39");
  const auto started = [](const std::string& request) { return "{\"start\":{\"job\":1,\"request\":" + request + "}}"; };
  const std::vector<std::pair<std::string, const char*>> rows{
      {"x", "malformed"},
      {"{" + finish, "ends before"},
      // White space is none of our business.
      {"{" + finish + "} ", ""},
      {"{" + finish + "}{}", "after the end"},
      {"{" + finish + "," + finish + "}", "twice"},
      {"{" + finish + ",\"drop\":{\"jobs\":[]}}", "one key"},
      {"[]", "one key"},
      {"{}", "one key"},
      {"{\"finish\":1}", "an object"},
      {"{\"fin\":{}}", "unknown kind"},
      {"{\"finish\":{}}", "no \"job\""},
      {"{\"finish\":{\"job\":1,\"more\":2}}", "1 unknown"},
      {"{\"finish\":{\"job\":\"1\"}}", "whole number"},
      {"{\"finish\":{\"job\":-1}}", "range"},
      {"{\"finish\":{\"job\":1.0}}", "whole number"},
      {"{\"finish\":{\"job\":null}}", "whole number"},
      {"{\"drop\":{\"jobs\":{}}}", "a list"},
      {"{\"drop\":{\"jobs\":[1,true]}}", "whole number"},
      {"{\"step\":{\"jobs\":[1]}}", "previews"},
      {started("[]"), "an object"},
      {started(width), "whole number"},
      {started(seed), "whole number"},
      {started(eta), "range"},
      {std::string("{\"finish\":{\"job\":1}}\0", 21), "after the end"},
      {"{\"start\":{\"job\":1,\"request\":" + std::string(100, '[') + "}}", "deep"},
      {"{\"fin\xff\":{}}", "UTF-8"}};
  Pair pair;
  for (const auto& [text, what] : rows) {
    send_packet(pair.left.get(), text);
    if (!*what) {
      EXPECT_TRUE(receive_command(pair.right.get())) << text;
      continue;
    }
    try {
      receive_command(pair.right.get());
      ADD_FAILURE() << text;
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), HasSubstr(what)) << text;
    }
  }
}

Descriptor memory_file(size_t size, int seals) {
  Descriptor file(memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  EXPECT_EQ(ftruncate(file.get(), static_cast<off_t>(size)), 0);
  EXPECT_EQ(fcntl(file.get(), F_ADD_SEALS, seals), 0);
  return file;
}

TEST(Wire, refuses_files_that_are_not_the_sealed_pixels_of_the_size_said) {
  constexpr int kAll = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
  const auto finished = [](const std::string& width, const std::string& height) {
    return "{\"finished\":{\"job\":1,\"seconds\":1,\"image\":{\"width\":" + width + ",\"height\":" + height +
           "},\"figures\":null,\"loaded\":null,\"hashes\":[]}}";
  };
  struct Row {
    std::string text;
    Descriptor file;
    const char* what;
  };
  int pipe_ends[2];
  ASSERT_EQ(pipe2(pipe_ends, O_CLOEXEC), 0);
  Descriptor pipe_in(pipe_ends[1]);
  std::vector<Row> rows;
  const std::string fits = finished("8", "4");
  rows.push_back({fits, memory_file(96, kAll), ""});
  rows.push_back({fits, {}, "0 came"});
  rows.push_back({fits, memory_file(95, kAll), "95 came"});
  rows.push_back({fits, memory_file(97, kAll), "1 bytes beside its text too many"});
  rows.push_back({fits, memory_file(0, kAll), "0 came"});
  rows.push_back({fits, memory_file(96, F_SEAL_GROW | F_SEAL_WRITE), "not sealed"});
  rows.push_back({fits, memory_file(96, F_SEAL_SHRINK | F_SEAL_WRITE), "not sealed"});
  rows.push_back({fits, memory_file(96, F_SEAL_SHRINK | F_SEAL_GROW), "not sealed"});
  rows.push_back({fits, Descriptor(open("/dev/zero", O_RDONLY | O_CLOEXEC)), "no memfd"});
  rows.push_back({fits, Descriptor(open("/proc/self/exe", O_RDONLY | O_CLOEXEC)), "no memfd"});
  rows.push_back({fits, Descriptor(pipe_ends[0]), "no memfd"});
  rows.push_back({finished("0", "4"), memory_file(0, kAll), "sides are"});
  rows.push_back({finished("-8", "-4"), memory_file(96, kAll), "sides are"});
  rows.push_back({finished("16385", "1"), memory_file(49155, kAll), "sides are"});
  rows.push_back({finished("2147483647", "2147483647"), memory_file(96, kAll), "sides are"});
  rows.push_back({finished("16384", "16384"), memory_file(96, kAll), "96 came"});
  rows.push_back({finished("2147483648", "1"), memory_file(96, kAll), "range"});
  rows.push_back({"{\"did_not_fit\":{}}", memory_file(96, kAll), "too many"});
  Pair pair;
  const size_t before = open_files();
  for (const Row& row : rows) {
    send_packet(pair.left.get(), row.text, row.file.get());
    try {
      receive_report(pair.right.get());
      EXPECT_STREQ(row.what, "");
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), HasSubstr(*row.what ? row.what : "no error"));
    }
    EXPECT_EQ(open_files(), before) << row.what;
  }
}

TEST(Wire, closes_all_files_of_a_message_that_has_more_than_one) {
  Pair pair;
  for (const size_t count : {size_t{2}, size_t{16}, size_t{40}}) {
    const Descriptor file = memory_file(96, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
    const std::vector<int> numbers(count, file.get());
    alignas(cmsghdr) char control[CMSG_SPACE(40 * sizeof(int))] = {};
    char text[] = "{\"did_not_fit\":{}}";
    iovec piece{text, sizeof text - 1};
    msghdr header{};
    header.msg_iov = &piece;
    header.msg_iovlen = 1;
    header.msg_control = control;
    header.msg_controllen = CMSG_SPACE(count * sizeof(int));
    cmsghdr* part = CMSG_FIRSTHDR(&header);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(count * sizeof(int));
    std::memcpy(CMSG_DATA(part), numbers.data(), count * sizeof(int));
    ASSERT_GT(sendmsg(pair.left.get(), &header, 0), 0);
    const size_t before = open_files();
    EXPECT_THROW(receive_report(pair.right.get()), Error);
    EXPECT_EQ(open_files(), before);
  }
}

TEST(Wire, pixels_cannot_be_changed_by_who_sent_them) {
  const std::vector<uint8_t> bytes(96, 1);
  const std::span<const uint8_t> part(bytes);
  const Descriptor file = sealed_file({&part, 1});
  EXPECT_EQ(write(file.get(), "x", 1), -1);
  EXPECT_EQ(ftruncate(file.get(), 0), -1);
  EXPECT_EQ(mmap(nullptr, 96, PROT_WRITE, MAP_SHARED, file.get(), 0), MAP_FAILED);
}

TEST(Wire, tells_a_closed_socket_from_a_silent_one) {
  Pair pair;
  ASSERT_EQ(fcntl(pair.right.get(), F_SETFL, O_NONBLOCK), 0);
  bool closed = true;
  EXPECT_FALSE(receive_command(pair.right.get(), &closed));
  EXPECT_FALSE(closed);
  send_command(pair.left.get(), FinishCommand{1});
  pair.left = Descriptor();
  EXPECT_TRUE(receive_command(pair.right.get(), &closed));  // what was said before is heard
  EXPECT_FALSE(closed);
  EXPECT_FALSE(receive_command(pair.right.get(), &closed));
  EXPECT_TRUE(closed);
  EXPECT_THROW(send_report(pair.right.get(), DidNotFit{}), Error);  // and no SIGPIPE
}

TEST(Wire, a_reader_that_leaves_messages_behind_has_closed) {
  Pair pair;
  send_command(pair.left.get(), FinishCommand{1});
  send_report(pair.right.get(), DidNotFit{});
  pair.right = Descriptor();
  bool closed = false;
  for (int i = 0; i < 3 && !closed; ++i) receive_report(pair.left.get(), &closed);
  EXPECT_TRUE(closed);
}

TEST(Wire, refuses_what_is_too_long_or_cannot_be_said) {
  Pair pair;
  EXPECT_THROW(send_command(pair.left.get(), DropCommand{std::vector<JobId>(200'000, UINT64_MAX)}), Error);
  ImageRequest request;
  request.guidance_scale = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THROW(send_command(pair.left.get(), StartCommand{1, request}), Error);
  EXPECT_THROW(send_report(pair.left.get(), Finished{1, 1, Image{8, 8, {1, 2}}, {}, {}, {}}), Error);
  EXPECT_THROW(send_report(pair.left.get(), Finished{1, 1, Image{}, {}, {}, {}}), Error);
  const int size = 4 << 20;
  setsockopt(pair.left.get(), SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
  const std::string text(kMaxPacket + 1, ' ');
  if (send(pair.left.get(), text.data(), text.size(), 0) < 0) GTEST_SKIP() << "this system sends no packet so long";
  EXPECT_THROW(receive_command(pair.right.get()), Error);
}

TEST(Wire, a_reader_that_does_not_read_is_an_error_of_a_socket_that_does_not_block) {
  Pair pair;
  ASSERT_EQ(fcntl(pair.left.get(), F_SETFL, O_NONBLOCK), 0);
  const auto fill = [&] {
    for (int i = 0; i < 100'000; ++i) send_command(pair.left.get(), FinishCommand{1});
  };
  EXPECT_THROW(fill(), Error);
}

}  // namespace
}  // namespace inkstone::serve
