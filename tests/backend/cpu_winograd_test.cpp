// The Winograd convolution against a plain sum in double, in every instruction set that this
// machine runs.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <optional>
#include <vector>

#include "backend/cpu/kernels/kernels.h"
#include "base/parallel.h"
#include "base/tensor.h"
#include "numbers.h"

namespace inkstone {
namespace {

constexpr DType kF32 = DType::kF32, kBF16 = DType::kBF16, kF16 = DType::kF16;

enum class Residual { kNone, kApart, kOut };

struct Size {
  int64_t images, height, width, in, out;
};
struct Pads {
  int top = 1, left = 1, bottom = 1, right = 1;
};

struct Case {
  Size size;
  Pads pads = {};
  Activation activation = Activation::kNone;
  bool doubled = false;
  int64_t groups = 0;
  bool silu = false, addend = false, bias = true;
  Residual residual = Residual::kNone;
};

std::ostream& operator<<(std::ostream& out, const Case& c) {
  return out << c.size.images << " images of " << c.size.height << " x " << c.size.width << ", " << c.size.in << " -> "
             << c.size.out << ", pads " << c.pads.top << c.pads.left << c.pads.bottom << c.pads.right << ", activation "
             << static_cast<int>(c.activation) << (c.doubled ? ", doubled" : "") << ", groups " << c.groups
             << (c.silu ? ", silu" : "") << (c.addend ? ", addend" : "") << (c.bias ? "" : ", no bias") << ", residual "
             << static_cast<int>(c.residual);
}

const Case kCases[] = {
    {.size = {1, 1, 1, 1, 1}},
    {.size = {1, 4, 4, 16, 16}},
    {.size = {2, 7, 9, 20, 5}},
    {.size = {1, 5, 6, 70, 33}},
    {.size = {3, 8, 8, 64, 64}},
    // more tiles beside one another than a block has
    {.size = {1, 33, 70, 36, 40}},
    {.size = {1, 9, 10, 128, 3}},
    {.size = {2, 13, 6, 4, 80}},
    {.size = {1, 10, 10, 24, 24}, .pads = {0, 0, 0, 0}},
    {.size = {2, 11, 9, 24, 24}, .pads = {0, 1, 0, 1}},  // a band of rows
    {.size = {1, 9, 11, 24, 24}, .pads = {1, 0, 0, 1}},
    {.size = {2, 8, 12, 24, 40}, .activation = Activation::kSilu},
    {.size = {1, 8, 12, 24, 40}, .activation = Activation::kGelu, .residual = Residual::kOut},
    {.size = {1, 7, 7, 24, 21}, .activation = Activation::kQuickGelu, .residual = Residual::kApart},
    {.size = {1, 9, 7, 24, 37}, .activation = Activation::kRelu, .residual = Residual::kApart},
    {.size = {2, 6, 9, 28, 24}, .activation = Activation::kLeakyRelu},
    {.size = {2, 8, 8, 40, 37}, .bias = false, .residual = Residual::kOut},
    {.size = {2, 12, 14, 20, 24}, .doubled = true},
    {.size = {1, 10, 6, 20, 24}, .pads = {0, 0, 0, 0}, .doubled = true},
    {.size = {1, 14, 8, 20, 24}, .pads = {-1, 1, -1, 1}, .doubled = true},  // rows of a doubled image
    {.size = {2, 16, 10, 20, 24}, .pads = {-1, 1, 1, 1}, .doubled = true},
    {.size = {2, 11, 14, 20, 24}, .doubled = true},  // of odd sizes: the last row or column is there once
    {.size = {2, 12, 13, 20, 24}, .doubled = true},
    {.size = {1, 33, 71, 36, 40}, .doubled = true},
    {.size = {1, 13, 7, 20, 24}, .pads = {-2, 1, -1, 1}, .doubled = true},
    {.size = {2, 9, 7, 32, 24}, .groups = 8},
    {.size = {2, 9, 7, 80, 24}, .groups = 16, .silu = true, .addend = true},
    {.size = {1, 40, 36, 72, 24}, .groups = 4, .silu = true, .residual = Residual::kApart},
};

struct Types {
  DType x, weight, out;
};

struct Row {
  const kernels::Table* table;
  Types types;
};

std::vector<Row> rows() {
  std::vector<Row> all;
  for (const kernels::Table* table : kernels::runnable_tables()) {
    for (const DType weight : {kF32, kBF16, kF16}) {
      for (const DType x : {kF32, kBF16}) all.push_back({table, {x, weight, x}});
    }
    all.push_back({table, {kBF16, kBF16, kF32}});
    all.push_back({table, {kF32, kF32, kBF16}});
  }
  return all;
}

class CpuWinograd : public testing::TestWithParam<Row> {};
INSTANTIATE_TEST_SUITE_P(Each, CpuWinograd, testing::ValuesIn(rows()), [](const auto& row) {
  const Types& types = row.param.types;
  return std::string(row.param.table->name) + "_" + name_of(types.x) + "_" + name_of(types.weight) + "_" +
         name_of(types.out);
});

double get(const Tensor& tensor, int64_t index) {
  float value = 0;
  to_float(tensor.type(), tensor.data() + static_cast<size_t>(index) * size_of(tensor.type()), &value, 1);
  return static_cast<double>(value);
}

struct Problem {
  Case c;
  kernels::ConvolutionShape shape;
  Tensor x, weight, residual;
  std::vector<float> bias, stats, scale, shift, addend;

  Problem(const Case& which, const Types& types) : c(which) {
    shape = {.images = c.size.images,
             .height = c.size.height,
             .width = c.size.width,
             .in = c.size.in,
             .out = c.size.out,
             .kernel = 3,
             .stride = 1,
             .pad_top = c.pads.top,
             .pad_left = c.pads.left,
             .pad_bottom = c.pads.bottom,
             .pad_right = c.pads.right,
             .x_type = types.x,
             .out_type = types.out,
             .activation = c.activation,
             .doubled = c.doubled,
             .groups = c.groups,
             .silu = c.silu};
    Numbers numbers(static_cast<uint32_t>(c.size.in * 7 + c.size.out));
    x = numbers.tensor(c.size.images * image_in(), types.x);
    weight =
        numbers.tensor(c.size.out * c.size.in * 9, types.weight, 1 / std::sqrt(9.0f * static_cast<float>(c.size.in)));
    residual = numbers.tensor(c.size.images * image_out(), types.out);
    bias = numbers.take(c.size.out);
    scale = numbers.take(c.size.in, 0.2f, 1);
    shift = numbers.take(c.size.in, 0.5f);
    addend = numbers.take(c.size.images * c.size.in);
    for (int64_t i = 0; i < c.size.images * c.groups; ++i) {
      stats.push_back(0.3f * numbers());
      stats.push_back(0.9f + 0.1f * numbers());
    }
  }

  int64_t height_in() const { return c.doubled ? (c.size.height + 1) / 2 : c.size.height; }
  int64_t width_in() const { return c.doubled ? (c.size.width + 1) / 2 : c.size.width; }
  int64_t image_in() const { return height_in() * width_in() * c.size.in; }
  int64_t image_out() const { return shape.out_height() * shape.out_width() * c.size.out; }

  Tensor run(const kernels::Table& table) const {
    Tensor out({c.size.images * image_out()}, shape.out_type);
    run_images(table, 0, c.size.images, out);
    return out;
  }

  // Some of the images, into a tensor of theirs.
  void run_images(const kernels::Table& table, int64_t first, int64_t count, Tensor& out) const {
    kernels::ConvolutionShape some = shape;
    some.images = count;
    const size_t from = static_cast<size_t>(first * image_out()) * size_of(shape.out_type);
    if (c.residual == Residual::kOut) std::memcpy(out.data(), residual.data() + from, out.bytes());
    const Memory scratch = allocate(table.winograd_scratch(some));
    const std::byte* apart = c.residual == Residual::kApart ? residual.data() + from : nullptr;
    table.winograd(some, {.x = x.data() + static_cast<size_t>(first * image_in()) * size_of(shape.x_type),
                          .weight = {weight.data(), weight.type()},
                          .bias = c.bias ? bias.data() : nullptr,
                          .residual = c.residual == Residual::kOut ? out.data() : apart,
                          .out = out.data(),
                          .scratch = scratch.get(),
                          .stats = stats.data() + first * c.groups * 2,
                          .scale = scale.data(),
                          .shift = shift.data(),
                          .addend = c.addend ? addend.data() + first * c.size.in : nullptr});
  }

  // What the convolution sees at a place of its input.
  double input(int64_t image, int64_t y, int64_t x_at, int64_t channel) const {
    if (y < 0 || y >= c.size.height || x_at < 0 || x_at >= c.size.width) return 0;
    const int64_t part = c.doubled ? 2 : 1;
    const double value = get(x, ((image * height_in() + y / part) * width_in() + x_at / part) * c.size.in + channel);
    if (c.groups == 0) return value;
    const auto at = static_cast<size_t>(channel);
    const size_t group = static_cast<size_t>((image * c.groups + channel / (c.size.in / c.groups)) * 2);
    const double more = c.addend ? static_cast<double>(addend[static_cast<size_t>(image * c.size.in) + at]) : 0;
    const double normal = (value + more - static_cast<double>(stats[group])) * static_cast<double>(stats[group + 1]) *
                              static_cast<double>(scale[at]) +
                          static_cast<double>(shift[at]);
    return c.silu ? normal / (1 + std::exp(-normal)) : normal;
  }

  double activated(double v) const {
    switch (c.activation) {
      case Activation::kNone: return v;
      case Activation::kSilu: return v / (1 + std::exp(-v));
      case Activation::kGelu: return v * 0.5 * std::erfc(-v * std::sqrt(0.5));
      case Activation::kQuickGelu: return v / (1 + std::exp(-1.702 * v));
      case Activation::kRelu: return std::max(v, 0.0);
      case Activation::kLeakyRelu: return std::max(v, 0.2 * v);
    }
    return v;
  }

  std::vector<double> plain() const {
    std::vector<double> seen, taps, result;
    const int64_t padded_height = c.size.height + c.pads.top + c.pads.bottom,
                  padded_width = c.size.width + c.pads.left + c.pads.right;
    for (int64_t i = 0; i < c.size.images * padded_height * padded_width * c.size.in; ++i) {
      const int64_t pixel = i / c.size.in, row = pixel / padded_width;
      seen.push_back(input(row / padded_height, row % padded_height - c.pads.top, pixel % padded_width - c.pads.left,
                           i % c.size.in));
    }
    for (int64_t i = 0; i < weight.size(); ++i) taps.push_back(get(weight, i));
    for (int64_t i = 0; i < c.size.images * image_out(); ++i) {
      const int64_t out = i % c.size.out, pixel = i / c.size.out, column = pixel % shape.out_width();
      const int64_t row = pixel / shape.out_width() % shape.out_height(), image = i / image_out();
      double sum = c.bias ? static_cast<double>(bias[static_cast<size_t>(out)]) : 0;
      for (int64_t tap = 0; tap < 9; ++tap) {
        const double* from = &seen[static_cast<size_t>(
            ((image * padded_height + row + tap / 3) * padded_width + column + tap % 3) * c.size.in)];
        const double* with = &taps[static_cast<size_t>(out * c.size.in * 9 + tap)];
        for (int64_t k = 0; k < c.size.in; ++k) sum += from[k] * with[k * 9];
      }
      result.push_back(activated(sum) + (c.residual == Residual::kNone ? 0 : get(residual, i)));
    }
    return result;
  }
};

bool same_bits(const Tensor& a, const Tensor& b) {
  return a.bytes() == b.bytes() && std::memcmp(a.data(), b.data(), a.bytes()) == 0;
}

struct Threads {  // for the length of a scope
  explicit Threads(int count) : before(threads()) { set_threads(count); }
  ~Threads() { set_threads(before); }
  int before;
};

TEST_P(CpuWinograd, convolves_as_the_plain_sum_does) {
  const auto& [table, types] = GetParam();
  for (const Case& c : kCases) {
    SCOPED_TRACE(testing::Message() << c);
    const Problem problem(c, types);
    const Tensor got = problem.run(*table);
    const std::vector<double> want = problem.plain();
    const double relative = types.out == kBF16 ? 0.004 : 0;
    for (int64_t i = 0; i < got.size(); ++i) {
      const double expected = want[static_cast<size_t>(i)];
      ASSERT_NEAR(get(got, i), expected, 1e-5 + relative * std::abs(expected)) << "at " << i << " of " << got.size();
    }
  }
}

TEST_P(CpuWinograd, an_image_does_not_depend_on_the_others_nor_on_the_threads) {
  const auto& [table, types] = GetParam();
  for (const Case& c : {Case{.size = {3, 14, 9, 150, 70}}, Case{.size = {5, 30, 34, 24, 40}, .groups = 8, .silu = true},
                        Case{.size = {2, 8, 8, 600, 20}}}) {
    SCOPED_TRACE(testing::Message() << c);
    const Problem problem(c, types);
    std::optional<Tensor> first;
    for (const int count : {1, 2, 3, 8}) {
      const Threads scope(count);
      Tensor all = problem.run(*table);
      if (!first)
        first = std::move(all);
      else
        EXPECT_TRUE(same_bits(all, *first)) << count << " threads";
    }
    const Threads scope(2);
    for (int64_t image = 0; image < c.size.images; ++image) {
      Tensor alone({problem.image_out()}, types.out);
      problem.run_images(*table, image, 1, alone);
      EXPECT_EQ(0, std::memcmp(alone.data(), first->data() + static_cast<size_t>(image) * alone.bytes(), alone.bytes()))
          << "image " << image;
    }
  }
}

// Rows [10, 21) from the rows around them, whose tiles begin elsewhere.
TEST_P(CpuWinograd, a_band_of_rows_is_the_whole_but_for_rounding) {
  const auto& [table, types] = GetParam();
  const Problem problem({.size = {1, 30, 11, 100, 24}}, types);
  const Tensor whole = problem.run(*table);
  kernels::ConvolutionShape band = problem.shape;
  band.height = 13;
  band.pad_top = band.pad_bottom = 0;
  Tensor out({11 * 11 * 24}, types.out);
  const Memory scratch = allocate(table->winograd_scratch(band));
  table->winograd(band, {.x = problem.x.data() + 9 * 11 * 100 * size_of(types.x),
                         .weight = {problem.weight.data(), types.weight},
                         .bias = problem.bias.data(),
                         .residual = nullptr,
                         .out = out.data(),
                         .scratch = scratch.get()});
  for (int64_t i = 0; i < out.size(); ++i) {
    const double expected = get(whole, 10 * 11 * 24 + i);
    ASSERT_NEAR(get(out, i), expected, 1e-5 + (types.out == kBF16 ? 0.008 : 0) * std::abs(expected)) << "at " << i;
  }
}

// Wide channels and many tiles: several blocks that the threads share, against a band that is one
// block. A band that begins with a tile has the same bits.
TEST(CpuWinogradBlocks, change_no_bit) {
  for (const kernels::Table* table : kernels::runnable_tables()) {
    const Problem problem({.size = {1, 80, 76, 1100, 300}, .bias = false}, {kBF16, kBF16, kBF16});
    const Tensor whole = problem.run(*table);
    kernels::ConvolutionShape band = problem.shape;
    band.height = 10;
    band.pad_top = band.pad_bottom = 0;
    Tensor out({8 * 76 * 300}, kBF16);
    const Memory scratch = allocate(table->winograd_scratch(band));
    table->winograd(band, {.x = problem.x.data() + 39 * 76 * 1100 * 2,
                           .weight = {problem.weight.data(), kBF16},
                           .bias = nullptr,
                           .residual = nullptr,
                           .out = out.data(),
                           .scratch = scratch.get()});
    EXPECT_EQ(0, std::memcmp(out.data(), whole.data() + 40 * 76 * 300 * 2, out.bytes())) << table->name;
  }
}

// Long sums: the error of the transforms does not grow with them.
TEST(CpuWinogradError, stays_within_two_millionths) {
  for (const kernels::Table* table : kernels::runnable_tables()) {
    for (const int64_t in : {320, 2560}) {
      const Problem problem({.size = {1, 8, 8, in, 16}}, {kBF16, kBF16, kF32});
      const Tensor got = problem.run(*table);
      const std::vector<double> want = problem.plain();
      double error = 0, size = 0;
      for (int64_t i = 0; i < got.size(); ++i) {
        const double d = get(got, i) - want[static_cast<size_t>(i)];
        error += d * d;
        size += want[static_cast<size_t>(i)] * want[static_cast<size_t>(i)];
      }
      EXPECT_LT(std::sqrt(error / size), 2e-6) << table->name << ", " << in << " channels";
    }
  }
}

}  // namespace
}  // namespace inkstone
