// Upscalers of every naming and factor, against what spandrel makes of the same image; and what may
// not change a pixel.
#include "upscale/upscaler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>

#include "base/error.h"
#include "base/parallel.h"
#include "support/differences.h"
#include "support/scratch_folder.h"
#include "upscale/pixels.h"
#include "upscale/tiny_upscaler.h"

namespace inkstone {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;

const fs::path kFixtures = fs::path(INKSTONE_SOURCE_DIR) / "tests/fixtures/upscalers";

class Upscalers : public testing::Test {
 protected:
  Upscaler open(const EsrganConfig& config, const EsrganNaming& naming = {}) {
    write_upscaler(file_, config, naming);
    return Upscaler::open(file_);
  }
  // What opening the file says.
  std::string refused() {
    try {
      Upscaler::open(file_);
    } catch (const Error& error) {
      return error.what();
    }
    return "accepted";
  }

  const ScratchFolder scratch_;
  const fs::path folder_ = scratch_.path(), file_ = folder_ / "fox_x4.safetensors";
};

EsrganConfig small() {
  EsrganConfig config;
  config.channels = 8, config.growth = 4, config.blocks = 2;
  return config;
}

struct Case {
  const char* name;
  int table;
  EsrganConfig config;
  int width, height;
};
const Case kCases[] = {{"real_x4", 0, {8, 32, 2, 2, 1}, 11, 9},    {"real_x2", 0, {8, 32, 2, 2, 2}, 11, 9},
                       {"real_x1", 0, {8, 32, 2, 2, 4}, 11, 9},    {"real_x8", 0, {8, 32, 1, 3, 1}, 5, 4},
                       {"bsrgan_x4", 1, {12, 32, 1, 2, 1}, 9, 11}, {"bsrgan_x2", 1, {12, 32, 1, 1, 1}, 9, 11},
                       {"old_x4", 2, {8, 32, 3, 2, 1}, 11, 9},     {"old_x2", 2, {8, 32, 1, 1, 1}, 10, 7},
                       {"old_x1", 2, {8, 32, 1, 0, 1}, 10, 7},     {"old_x8", 2, {8, 32, 1, 3, 1}, 5, 4}};

TEST_F(Upscalers, of_every_naming_and_factor_make_spandrels_image) {
  const Weights goldens = Weights::open_files({kFixtures / "goldens.safetensors"});
  for (const char* device : {"cpu", "reference"}) {
    const auto backend = open_backend(device);
    for (const Case& one : kCases) {
      const Upscaler upscaler = open(one.config, {"", one.table});
      EXPECT_EQ(upscaler.config().blocks, one.config.blocks);
      const Image made = upscaler.upscale(*backend, formula_image(one.width, one.height),
                                          upscaler.plan(*backend, one.width, one.height));
      const Tensor golden = goldens.read(one.name);
      ASSERT_EQ(golden.shape(), (Shape{3, made.height, made.width})) << one.name;
      std::vector<double> right(made.rgb.size());
      const size_t area = right.size() / 3;
      double sum = 0, squares = 0;
      for (size_t i = 0; i < right.size(); ++i) {
        const double value = std::clamp(golden.floats()[i], 0.0f, 1.0f);
        right[i % area * 3 + i / area] = value * 255;
        sum += value, squares += value * value;
      }
      EXPECT_LE(largest_difference(made.rgb, right), 0.55) << one.name << " on " << device;
      const double mean = sum / static_cast<double>(golden.size());
      EXPECT_GT(std::sqrt(squares / static_cast<double>(golden.size()) - mean * mean), 0.05) << one.name;
    }
  }
}

TEST_F(Upscalers, read_what_torch_save_wrote_and_take_the_averaged_weights) {
  const auto backend = open_backend("cpu");
  const Image image = formula_image(11, 9);
  EsrganConfig config;
  config.channels = 4, config.growth = 2, config.blocks = 1;
  const auto drawn = [&](const Upscaler& upscaler) {
    return upscaler.upscale(*backend, image, upscaler.plan(*backend, image.width, image.height));
  };
  const Image right = drawn(open(config));
  EXPECT_EQ(drawn(Upscaler::open(kFixtures / "plain.pth")).rgb, right.rgb);
  EXPECT_LE(largest_difference(drawn(Upscaler::open(kFixtures / "averaged.pth")), right), 2);  // it is in fp16
}

TEST_F(Upscalers, are_found_under_the_prefixes_of_flattened_dicts) {
  for (const char* prefix : {"params_ema.", "params.", "module.", "netG."})
    for (int table = 0; table < 3; ++table) EXPECT_EQ(open(small(), {prefix, table}).factor(), 4) << prefix;
}

TEST_F(Upscalers, make_the_same_image_in_bands_and_with_any_number_of_threads) {
  const auto backend = open_backend("cpu");
  EsrganConfig config = small();
  config.channels = 16, config.growth = 16;  // so that Winograd's tiles are used
  config.blocks = 1, config.doublings = 1;
  const Upscaler upscaler = open(config);
  constexpr int kWidth = 131, kHeight = 170;
  const Image image = formula_image(kWidth, kHeight);
  for (const Precision precision : {Precision::kFp32, Precision::kBf16}) {
    UpscalePlan plan = upscaler.plan(*backend, kWidth, kHeight, {precision});
    EXPECT_EQ(plan.band_rows, 0);
    const Image whole = upscaler.upscale(*backend, image, plan);
    const int before = threads();
    for (const auto& [rows, number] : {std::pair(32, 1), {16, 2}, {8, 3}}) {
      plan.band_rows = rows;
      set_threads(number);
      EXPECT_TRUE(upscaler.upscale(*backend, image, plan).rgb == whole.rgb) << name_of(precision) << " " << rows;
    }
    set_threads(before);
  }
}

TEST_F(Upscalers, work_in_bands_where_the_budget_asks_for_it_and_say_the_least_that_works) {
  const auto backend = open_backend("cpu");
  EsrganConfig config = small();
  config.channels = 32, config.growth = 32;
  const Upscaler upscaler = open(config);
  const UpscalePlan whole = upscaler.plan(*backend, 130, 1024);
  ASSERT_EQ(whole.band_rows, 0);
  UpscaleOptions options;
  options.memory_budget = whole.peak_bytes;
  EXPECT_EQ(upscaler.plan(*backend, 130, 1024, options).band_rows, 0);
  options.memory_budget = whole.peak_bytes - 1;
  UpscalePlan bands = upscaler.plan(*backend, 130, 1024, options);
  EXPECT_EQ(bands.band_rows, 32);
  EXPECT_LT(bands.peak_bytes, whole.peak_bytes * 9 / 10);
  for (const int rows : {16, 8}) {
    options.memory_budget = bands.peak_bytes - 1;
    bands = upscaler.plan(*backend, 130, 1024, options);
    EXPECT_EQ(bands.band_rows, rows);
  }
  options.memory_budget = 1 << 20;
  try {
    upscaler.plan(*backend, 130, 1024, options);
    ADD_FAILURE();
  } catch (const UsageError& error) {
    EXPECT_THAT(error.what(), AllOf(HasSubstr("1 MiB is too small to upscale 130x1024 by fox_x4"),
                                    HasSubstr(std::to_string(((bands.peak_bytes - 1) >> 20) + 1) + " MiB")));
  }
}

TEST_F(Upscalers, tell_how_far_they_are_and_stop_when_told) {
  const auto backend = open_backend("cpu");
  const Upscaler upscaler = open(small());
  const UpscalePlan plan = upscaler.plan(*backend, 8, 8);
  std::vector<std::pair<int, int>> told;
  upscaler.upscale(*backend, formula_image(8, 8), plan, [&](int done, int total) { told.emplace_back(done, total); });
  EXPECT_EQ(told, (std::vector<std::pair<int, int>>{{0, 4}, {1, 4}, {2, 4}, {3, 4}, {4, 4}}));
  const auto stop = [](int done, int) {
    if (done == 2) throw std::runtime_error("stopped");
  };
  EXPECT_THROW(upscaler.upscale(*backend, formula_image(8, 8), plan, stop), std::runtime_error);
}

TEST_F(Upscalers, enlarge_images_of_a_single_pixel) {
  const auto backend = open_backend("cpu");
  for (const Case& one : kCases) {
    const Upscaler upscaler = open(one.config, {"", one.table});
    for (const auto& [width, height] : {std::pair(1, 1), {1, 7}, {3, 1}}) {
      const Image made =
          upscaler.upscale(*backend, formula_image(width, height), upscaler.plan(*backend, width, height));
      EXPECT_EQ(made.width, width * upscaler.factor()) << one.name;
      EXPECT_EQ(made.rgb.size(), static_cast<size_t>(made.width * made.height * 3));
    }
  }
}

// ---- Files that lie

TEST_F(Upscalers, that_lack_a_tensor_or_have_one_of_another_shape_are_refused_by_its_name) {
  for (const char* name : {"conv_body.bias", "body.1.rdb3.conv5.weight", "conv_hr.weight", "conv_up2.weight"}) {
    write_upscaler(file_, small(), {}, [&](StoredTensor& tensor) {
      if (tensor.name == name) tensor.name.clear();
    });
    if (std::string(name) == "conv_up2.weight") {
      EXPECT_EQ(refused(), "accepted");  // it is one of factor 2
    } else {
      EXPECT_THAT(refused(), AllOf(HasSubstr(file_.string()), HasSubstr(name)));
    }
  }
  for (const auto& changed : {std::pair<std::string, Shape>("body.0.rdb2.conv3.weight", {4, 16, 3, 5}),
                              {"conv_first.weight", {8, 5, 3, 3}},
                              {"conv_first.weight", {8, 0, 3, 3}},
                              {"conv_first.weight", {8}},
                              {"conv_last.weight", {4, 8, 3, 3}},
                              {"body.0.rdb1.conv1.weight", {int64_t{1} << 20, 8, 1, 1}}}) {
    write_upscaler(file_, small(), {}, [&](StoredTensor& tensor) {
      if (tensor.name == changed.first) tensor.shape = changed.second;
    });
    EXPECT_THAT(refused(), AllOf(HasSubstr(file_.string()), testing::Not(HasSubstr("accepted")))) << changed.first;
  }
}

TEST_F(Upscalers, of_absurd_numbers_are_refused) {
  EsrganConfig many;
  many.channels = many.growth = 1, many.blocks = 200;
  write_upscaler(file_, many, {});
  EXPECT_THAT(refused(), HasSubstr("more than 128 blocks"));
  EsrganConfig tall = small();
  tall.doublings = 5;
  write_upscaler(file_, tall, {});
  EXPECT_THAT(refused(), HasSubstr("more than 3 doublings"));
  EsrganConfig shrinks = small();
  shrinks.doublings = 1, shrinks.unshuffle = 4;
  write_upscaler(file_, shrinks, {});
  EXPECT_THAT(refused(), HasSubstr("makes images smaller"));
}

TEST_F(Upscalers, that_are_something_else_are_refused_by_what_they_are) {
  write_upscaler(file_, small(), {}, [](StoredTensor& tensor) { tensor.name = "x." + tensor.name; });
  EXPECT_THAT(refused(), HasSubstr("is no upscaler that Inkstone runs"));
  write_upscaler(file_, small(), {}, [](StoredTensor& tensor) {
    if (tensor.name == "body.1.rdb1.conv1.bias") tensor.name = "body.0.rdb1.conv1x1.weight";
  });
  EXPECT_THAT(refused(), HasSubstr("ESRGAN+"));
}

TEST_F(Upscalers, of_broken_weights_make_no_image) {
  const auto backend = open_backend("cpu");
  write_upscaler(file_, small(), {});
  std::string text = read_file(file_, 1 << 20);
  std::fill(text.end() - 40, text.end(), '\xff');  // NaN
  write_file(file_, std::as_bytes(std::span(text)));
  const Upscaler upscaler = Upscaler::open(file_);
  EXPECT_THROW(upscaler.upscale(*backend, formula_image(8, 8), upscaler.plan(*backend, 8, 8)), Error);
}

TEST(Unshuffled, pixels_are_channels_in_pytorchs_order_and_edges_are_mirrored) {
  Image image{3, 1, {0, 51, 102, 51, 102, 153, 255, 0, 51}};
  const Tensor whole = unshuffled(image, 1);
  EXPECT_EQ(whole.shape(), (Shape{1, 3, 1, 3}));
  EXPECT_EQ(std::vector<float>(whole.floats().begin(), whole.floats().end()),
            (std::vector<float>{0, 0.2f, 1, 0.2f, 0.4f, 0, 0.4f, 0.6f, 0.2f}));
  const Tensor halved = unshuffled(image, 2);
  EXPECT_EQ(halved.shape(), (Shape{1, 12, 1, 2}));
  // red: the four pixels of each square, left square and right square
  EXPECT_EQ(std::vector<float>(halved.floats().begin(), halved.floats().begin() + 8),
            (std::vector<float>{0, 1, 0.2f, 0.2f, 0, 1, 0.2f, 0.2f}));
}

}  // namespace
}  // namespace inkstone
