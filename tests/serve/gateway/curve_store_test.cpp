// What a server learnt of its device is there at the next start, for that device and model alone.
#include "serve/gateway/curve_store.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "serve/gateway/worker/simulated_image.h"

namespace inkstone::serve {
namespace {

namespace fs = std::filesystem;

struct Folder {
  fs::path path = fs::temp_directory_path() / ("inkstone_curves_" + std::to_string(getpid()));
  ~Folder() { fs::remove_all(path); }
};

ModelCard simulated() {
  ModelCard card = simulated_card();
  card.shape = "unet 1 F16";
  return card;
}

Hello hello_of(const std::string& device) {
  Hello hello;
  hello.device = device;
  hello.description = "a machine, 2 threads";
  hello.precision = "fp32";
  hello.model = simulated();
  return hello;
}

const ShapeTimes kLearnt{64, 64, {{1, 0.5}, {2, 0.75}}, 0.1, 0.2, false};

TEST(CurveStore, gives_back_what_was_learnt_bit_for_bit) {
  const Folder folder;
  CurveStore store(folder.path / "not" / "made");
  const Hello hello = hello_of("cpu");
  EXPECT_TRUE(store.known(hello, hello.model).empty());
  ShapeTimes estimate = kLearnt;
  estimate.width = 128;
  estimate.estimated = true;
  store.keep(hello, hello.model, {kLearnt, estimate});
  const std::vector<ShapeTimes> known = store.known(hello, hello.model);
  ASSERT_EQ(known.size(), 1u) << "an estimate is not kept";
  EXPECT_EQ(known[0].width, 64);
  ASSERT_EQ(known[0].steps.size(), 2u);
  EXPECT_EQ(known[0].steps[1].seconds, 0.75);
  EXPECT_FALSE(known[0].estimated);
}

TEST(CurveStore, is_of_one_model_device_and_precision) {
  const Folder folder;
  CurveStore store(folder.path);
  store.keep(hello_of("cpu"), simulated(), {kLearnt});
  EXPECT_TRUE(store.known(hello_of("npu:0"), simulated()).empty());
  Hello other = hello_of("cpu");
  other.precision = "bf16";
  EXPECT_TRUE(store.known(other, other.model).empty());
  other = hello_of("cpu");
  other.model.shape = "unet 2 F16";
  EXPECT_TRUE(store.known(other, other.model).empty());
  other = hello_of("cpu");
  other.description = "a machine, 4 threads";
  EXPECT_TRUE(store.known(other, other.model).empty());
}

int jobs_that_pay(const std::vector<std::vector<BatchTime>>& curves) {
  const Folder folder;
  CurveStore store(folder.path);
  std::vector<ShapeTimes> all;
  for (const std::vector<BatchTime>& steps : curves)
    all.push_back({64 * (1 + static_cast<int>(all.size())), 64, steps, 0.1, 0.2, false});
  store.keep(hello_of("cpu"), simulated(), all);
  return store.jobs_that_pay(hello_of("cpu"), 8);
}

// Memory is planned for what was seen to pay, and one image more; for all where nothing was seen.
TEST(CurveStore, says_how_many_images_in_a_step_pay) {
  EXPECT_EQ(jobs_that_pay({}), 8);
  EXPECT_EQ(jobs_that_pay({{{1, 0.5}, {2, 0.8}}}), 8) << "the largest made a row cheapest: more may pay";
  EXPECT_EQ(jobs_that_pay({{{1, 0.5}, {2, 0.8}, {4, 1.6}}}), 2);
  EXPECT_EQ(jobs_that_pay({{{1, 0.5}, {2, 0.8}, {3, 1.1}, {4, 1.6}}}), 3);
  EXPECT_EQ(jobs_that_pay({{{2, 0.8}, {4, 1.6}}, {{2, 0.8}, {4, 1.2}, {6, 1.8}}}), 3) << "the size that gains most";
  EXPECT_EQ(jobs_that_pay({{{2, 0.8}, {4, 1.6}}, {{2, 0.8}, {4, 1.2}}}), 8) << "one of which more may pay";
  EXPECT_EQ(jobs_that_pay({{{14, 1.0}, {16, 1.02}, {32, 2.1}}}), 8);
}

TEST(CurveStore, a_spoilt_file_or_no_folder_is_nothing_known) {
  const Folder folder;
  CurveStore store(folder.path);
  const Hello hello = hello_of("cpu");
  store.keep(hello, hello.model, {kLearnt});
  const fs::path file = fs::directory_iterator(folder.path)->path();
  for (const char* text : {"", "{", "[]", R"({"times": 3})", R"({"times": [{"width": 0}]})",
                           R"({"times": [{"width": 64, "height": 64, "steps": [], "encode_seconds": 1,
                              "decode_seconds": 1, "estimated": false}]})",
                           R"({"times": [{"width": 64, "height": 64, "steps": [{"batch_rows": 1, "seconds": -1}],
                              "encode_seconds": 1, "decode_seconds": 1, "estimated": false}]})"}) {
    std::ofstream(file) << text;
    EXPECT_TRUE(store.known(hello, hello.model).empty()) << text;
  }
  CurveStore nowhere{""};
  nowhere.keep(hello, hello.model, {kLearnt});
  EXPECT_TRUE(nowhere.known(hello, hello.model).empty());
}

}  // namespace
}  // namespace inkstone::serve
