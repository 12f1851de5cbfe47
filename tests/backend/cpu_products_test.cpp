// Linears and convolutions on stored weights against plain loops in double, in every instruction
// set that this machine runs and every pairing of types.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <functional>
#include <numeric>
#include <vector>

#include "backend/cpu/kernels/kernels.h"
#include "base/parallel.h"
#include "base/tensor.h"
#include "numbers.h"

namespace inkstone {
namespace {

constexpr DType kF32 = DType::kF32, kBF16 = DType::kBF16, kF16 = DType::kF16;

struct Variant {
  const kernels::Table* table;
  DType x, out, weight;
};

std::vector<Variant> variants() {
  std::vector<Variant> all;
  for (const kernels::Table* table : kernels::runnable_tables()) {
    for (const DType x : {kF32, kBF16}) {
      for (const DType out : {kF32, kBF16}) {
        for (const DType weight : {kF32, kBF16, kF16}) all.push_back({table, x, out, weight});
      }
    }
  }
  return all;
}

class CpuProducts : public testing::TestWithParam<Variant> {
 protected:
  const kernels::Table& table() const { return *GetParam().table; }
};

INSTANTIATE_TEST_SUITE_P(Each, CpuProducts, testing::ValuesIn(variants()), [](const auto& row) {
  const Variant& v = row.param;
  return std::string(v.table->name) + "_" + name_of(v.x) + "_" + name_of(v.weight) + "_to_" + name_of(v.out);
});

double get(const Tensor& tensor, int64_t index) {
  float value = 0;
  to_float(tensor.type(), tensor.data() + static_cast<size_t>(index) * size_of(tensor.type()), &value, 1);
  return static_cast<double>(value);
}

std::vector<double> doubles(const Tensor& tensor) {
  std::vector<float> floats(static_cast<size_t>(tensor.size()));
  to_float(tensor.type(), tensor.data(), floats.data(), floats.size());
  return {floats.begin(), floats.end()};
}

Tensor random(const Shape& shape, DType type, uint32_t seed) {
  Tensor tensor(shape, type);
  Numbers numbers(seed);
  for (int64_t i = 0; i < tensor.size(); ++i) {
    const float value = numbers();
    if (type == kF32) {
      reinterpret_cast<float*>(tensor.data())[i] = value;
    } else {
      reinterpret_cast<uint16_t*>(tensor.data())[i] = type == kF16 ? to_f16(value) : to_bf16(value);
    }
  }
  return tensor;
}

Tensor rows_of(const Tensor& tensor, int64_t first, int64_t count) {
  Shape shape = tensor.shape();
  const size_t row = tensor.bytes() / static_cast<size_t>(shape[0]);
  shape[0] = count;
  Tensor some(shape, tensor.type());
  std::memcpy(some.data(), tensor.data() + static_cast<size_t>(first) * row, some.bytes());
  return some;
}

bool same_bits(const Tensor& a, const Tensor& b) {
  return a.bytes() == b.bytes() && std::memcmp(a.data(), b.data(), a.bytes()) == 0;
}

struct Threads {  // for the length of a scope
  explicit Threads(int count) : before(threads()) { set_threads(count); }
  ~Threads() { set_threads(before); }
  int before;
};

double activated(Activation kind, double x) {
  switch (kind) {
    case Activation::kNone: return x;
    case Activation::kSilu: return x / (1 + std::exp(-x));
    case Activation::kGelu: return x * 0.5 * (1 + std::erf(x / std::sqrt(2.0)));
    case Activation::kQuickGelu: return x / (1 + std::exp(-1.702 * x));
    case Activation::kRelu: return std::max(x, 0.0);
    case Activation::kLeakyRelu: return std::max(x, 0.2 * x);
  }
  return 0;
}

// Within 1e-5 of the whole's magnitude, and within a rounding of itself where the result is bf16.
void expect_close(const Tensor& got, const std::vector<double>& want) {
  double square = 0;
  for (const double value : want) square += value * value;
  const double magnitude = std::sqrt(square / static_cast<double>(want.size()));
  double error = 0;
  for (int64_t i = 0; i < got.size(); ++i) {
    const double expected = want[static_cast<size_t>(i)], off = std::abs(get(got, i) - expected);
    ASSERT_LE(off, 5e-5 * magnitude + (got.type() == kBF16 ? 0x1p-8 * std::abs(expected) : 0.0))
        << "at " << i << " of " << got.size() << ": " << get(got, i) << ", not " << expected;
    error += off * off;
  }
  if (got.type() == kBF16) return;
  EXPECT_LE(std::sqrt(error / static_cast<double>(want.size())), 1e-5 * magnitude);
}

// A weight at an odd address, in a block that ends with it.
struct Stored {
  Stored(const Shape& shape, DType type, uint32_t seed) : values(random(shape, type, seed)), bytes(values.bytes() + 1) {
    std::memcpy(bytes.data() + 1, values.data(), values.bytes());
  }
  kernels::MappedWeight weight() const { return {bytes.data() + 1, values.type()}; }
  std::vector<double> doubles(DType x_type) const {  // as it is multiplied
    std::vector<double> all = inkstone::doubles(values);
    if (x_type != kF32)
      for (double& value : all) value = static_cast<double>(from_bf16(to_bf16(static_cast<float>(value))));
    return all;
  }
  Tensor values;
  std::vector<std::byte> bytes;
};

template <typename Shape, typename Run>
void run_in(const Shape& shape, size_t (*scratch_of)(const Shape&), const Run& run, kernels::ProductData data) {
  const size_t bytes = scratch_of(shape);
  const Memory scratch = allocate(bytes + 64);
  std::memset(scratch.get(), 0xff, bytes + 64);
  data.scratch = scratch.get();
  run(shape, data);
  for (size_t i = 0; i < 64; ++i) ASSERT_EQ(scratch[bytes + i], std::byte{0xff}) << "scratch overrun";
}

// ---- linears

struct LinearCase {
  int64_t rows, in, out;
  Activation activation = Activation::kNone;
  bool bias = true, residual = false, in_place = false, geglu = false;
};

std::ostream& operator<<(std::ostream& out, const LinearCase& c) {
  return out << c.rows << " x " << c.in << " -> " << c.out << ", activation " << static_cast<int>(c.activation)
             << (c.bias ? ", bias" : "") << (c.residual ? ", residual" : "") << (c.geglu ? ", geglu" : "");
}

std::vector<LinearCase> linear_cases() {
  return {{1, 1, 1},
          {7, 3, 5, Activation::kSilu},
          {13, 37, 70, Activation::kGelu, true, true},
          {6, 64, 64, Activation::kQuickGelu, false},
          {11, 70, 65, Activation::kRelu, true, true},
          {5, 34, 66, Activation::kLeakyRelu},
          {12, 33, 17, Activation::kNone, true, true, true},
          {77, 320, 130, Activation::kNone, true, true},
          {2, 5003, 66, Activation::kSilu, true, true, true},
          {1040, 2600, 5},
          {9, 33, 2, Activation::kNone, true, false, false, true},
          {13, 40, 140, Activation::kNone, true, false, false, true},
          {23, 2600, 70, Activation::kNone, false, false, false, true}};
}

struct Linear {
  Linear(const LinearCase& c, const Variant& v)
      : made_from(c),
        variant(v),
        shape{c.rows, c.in, c.out, v.x, v.out, c.activation, c.geglu},
        x(random({c.rows, c.in}, v.x, 1)),
        weight({c.out, c.in}, v.weight, 2),
        bias(random({c.out}, kF32, 3)),
        residual(random({c.rows, c.geglu ? c.out / 2 : c.out}, v.out, 4)) {}

  Tensor run(const kernels::Table& table) const {
    Tensor out = made_from.in_place ? rows_of(residual, 0, shape.rows) : Tensor(residual.shape(), residual.type());
    run_in(shape, table.linear_scratch, table.linear,
           {.x = x.data(),
            .weight = weight.weight(),
            .bias = made_from.bias ? bias.floats().data() : nullptr,
            .residual = !made_from.residual  ? nullptr
                        : made_from.in_place ? out.data()
                                             : residual.data(),
            .out = out.data(),
            .scratch = nullptr});
    return out;
  }
  Linear alone(int64_t row) const {
    Linear one(made_from, variant);
    one.shape.rows = 1;
    one.x = rows_of(x, row, 1);
    one.residual = rows_of(residual, row, 1);
    return one;
  }
  std::vector<double> plain() const {
    const int64_t columns = residual.dim(1);
    const std::vector<double> seen = doubles(x), weights = weight.doubles(shape.x_type);
    const auto sum = [&](int64_t row, int64_t column) {
      const double* a = seen.data() + row * shape.in;
      const double* b = weights.data() + column * shape.in;
      return std::inner_product(a, a + shape.in, b, made_from.bias ? get(bias, column) : 0.0);
    };
    std::vector<double> want;
    for (int64_t row = 0; row < shape.rows; ++row) {
      for (int64_t c = 0; c < columns; ++c) {
        double value = activated(shape.activation, sum(row, c));
        if (shape.geglu) value *= activated(Activation::kGelu, sum(row, columns + c));
        want.push_back(value + (made_from.residual ? get(residual, row * columns + c) : 0));
      }
    }
    return want;
  }

  LinearCase made_from;
  Variant variant;
  kernels::LinearShape shape;
  Tensor x;
  Stored weight;
  Tensor bias, residual;
};

TEST_P(CpuProducts, linears_agree_with_plain_loops) {
  for (const LinearCase& c : linear_cases()) {
    SCOPED_TRACE(testing::PrintToString(c));
    const Linear linear(c, GetParam());
    expect_close(linear.run(table()), linear.plain());
  }
}

TEST_P(CpuProducts, a_row_of_a_linear_does_not_depend_on_the_others_or_the_threads) {
  for (const LinearCase& c : linear_cases()) {
    SCOPED_TRACE(testing::PrintToString(c));
    const Linear linear(c, GetParam());
    const Threads one(1);
    const Tensor all = linear.run(table());
    for (const int64_t row : {int64_t{0}, c.rows / 2, c.rows - 1}) {
      EXPECT_TRUE(same_bits(rows_of(all, row, 1), linear.alone(row).run(table()))) << "row " << row;
    }
    for (const int count : {2, 3}) {
      const Threads more(count);
      EXPECT_TRUE(same_bits(all, linear.run(table()))) << count << " threads";
    }
  }
}

// ---- convolutions

struct ConvolutionCase {
  kernels::ConvolutionShape shape;  // without types
  bool residual = false, addend = false;
};

std::ostream& operator<<(std::ostream& out, const ConvolutionCase& c) {
  const kernels::ConvolutionShape& s = c.shape;
  return out << s.images << " of " << s.height << " x " << s.width << ", " << s.in << " -> " << s.out << ", "
             << s.kernel << "x" << s.kernel << " stride " << s.stride << " pads " << s.pad_top << s.pad_left
             << s.pad_bottom << s.pad_right << (s.doubled ? ", doubled" : "") << ", " << s.groups << " groups";
}

struct Window {
  int kernel, stride, pads[4];
};

ConvolutionCase convolution_case(const Shape& x, int64_t out, const Window& w) {
  return {{.images = x[0],
           .height = x[1],
           .width = x[2],
           .in = x[3],
           .out = out,
           .kernel = w.kernel,
           .stride = w.stride,
           .pad_top = w.pads[0],
           .pad_left = w.pads[1],
           .pad_bottom = w.pads[2],
           .pad_right = w.pads[3],
           .x_type = kF32,
           .out_type = kF32}};
}
ConvolutionCase doubled(ConvolutionCase c) {
  c.shape.doubled = true;
  return c;
}
ConvolutionCase normalised(ConvolutionCase c, int64_t groups, bool silu, bool addend) {
  c.shape.groups = groups;
  c.shape.silu = silu;
  c.addend = addend;
  return c;
}
ConvolutionCase with_residual(ConvolutionCase c, Activation activation) {
  c.shape.activation = activation;
  c.residual = true;
  return c;
}

std::vector<ConvolutionCase> convolution_cases() {
  const Window point = {1, 1, {0, 0, 0, 0}}, same = {3, 1, {1, 1, 1, 1}}, half = {3, 2, {1, 1, 1, 1}};
  return {convolution_case({1, 1, 1, 1}, 1, point),
          with_residual(convolution_case({2, 5, 7, 36}, 70, point), Activation::kSilu),
          normalised(convolution_case({2, 5, 7, 36}, 20, point), 4, true, true),
          convolution_case({2, 6, 5, 7}, 9, {1, 2, {0, 0, 0, 0}}),
          convolution_case({2, 8, 8, 4}, 35, same),
          with_residual(convolution_case({2, 7, 5, 3}, 17, same), Activation::kGelu),
          with_residual(convolution_case({2, 7, 5, 3}, 18, same), Activation::kRelu),
          with_residual(convolution_case({1, 6, 9, 20}, 65, half), Activation::kLeakyRelu),
          convolution_case({1, 9, 10, 64}, 4, same),
          convolution_case({1, 4, 4, 600}, 3, same),
          convolution_case({2, 9, 6, 34}, 66, half),
          convolution_case({1, 8, 8, 19}, 5, {3, 2, {0, 0, 1, 1}}),
          convolution_case({1, 12, 9, 5}, 6, {5, 3, {2, 1, 0, 3}}),
          convolution_case({1, 14, 14, 3}, 8, {14, 14, {0, 0, 0, 0}}),
          convolution_case({2, 9, 7, 34}, 20, half),
          doubled(convolution_case({2, 6, 8, 10}, 12, same)),
          doubled(convolution_case({2, 7, 8, 10}, 12, same)),
          doubled(convolution_case({2, 6, 9, 10}, 12, same)),
          doubled(normalised(convolution_case({2, 5, 11, 12}, 7, same), 3, true, true)),
          normalised(convolution_case({2, 6, 5, 32}, 4, same), 8, true, false),
          normalised(convolution_case({2, 6, 5, 33}, 12, half), 3, false, true),
          doubled(normalised(convolution_case({2, 6, 10, 12}, 7, same), 3, true, true)),
          normalised(convolution_case({1, 96, 100, 66}, 3, same), 2, true, false)};  // several blocks
}

struct Convolved {
  Convolved(const ConvolutionCase& c, const Variant& v)
      : made_from(c),
        variant(v),
        shape(c.shape),
        x(random({c.shape.images, c.shape.x_height(), c.shape.x_width(), c.shape.in}, v.x, 1)),
        weight({c.shape.out, c.shape.in, c.shape.kernel, c.shape.kernel}, v.weight, 2),
        bias(random({c.shape.out}, kF32, 3)),
        residual(random({c.shape.images, c.shape.out_height(), c.shape.out_width(), c.shape.out}, v.out, 4)),
        stats(random({c.shape.images, std::max<int64_t>(1, c.shape.groups), 2}, kF32, 5)),
        scale(random({c.shape.in}, kF32, 6)),
        shift(random({c.shape.in}, kF32, 7)),
        addend(random({c.shape.images, c.shape.in}, kF32, 8)) {
    shape.x_type = v.x;
    shape.out_type = v.out;
  }
  int64_t halved() const { return shape.doubled ? 2 : 1; }

  Tensor run(const kernels::Table& table) const {
    Tensor out(residual.shape(), residual.type());
    run_in(shape, table.convolution_scratch, table.convolution,
           {.x = x.data(),
            .weight = weight.weight(),
            .bias = bias.floats().data(),
            .residual = made_from.residual ? residual.data() : nullptr,
            .out = out.data(),
            .scratch = nullptr,
            .stats = stats.floats().data(),
            .scale = scale.floats().data(),
            .shift = shift.floats().data(),
            .addend = made_from.addend ? addend.floats().data() : nullptr});
    return out;
  }
  Convolved alone(int64_t image) const {
    Convolved one(made_from, variant);
    one.shape.images = 1;
    for (Tensor* tensor : {&one.x, &one.residual, &one.stats, &one.addend}) *tensor = rows_of(*tensor, image, 1);
    return one;
  }
  Tensor normalised(const kernels::Table& table) const {
    Tensor to(x.shape(), x.type()), copy = rows_of(stats, 0, shape.images);
    if (shape.groups == 0) return rows_of(x, 0, shape.images);
    table.group_apply({shape.images, x.dim(1) * x.dim(2), shape.in, shape.groups, 0, shape.silu}, x.type(),
                      {.x = x.data(),
                       .addend = made_from.addend ? addend.floats().data() : nullptr,
                       .scale = scale.floats().data(),
                       .shift = shift.floats().data(),
                       .stats = copy.floats().data(),
                       .out = to.data(),
                       .scratch = nullptr});
    return to;
  }
  // What output channel c of pixel (y, x) sums.
  double sum(const std::vector<double>& seen, const std::vector<double>& weights, int64_t image, int64_t y,
             int64_t column, int64_t c) const {
    double total = get(bias, c);
    const int64_t taps = shape.kernel * shape.kernel;
    for (int64_t tap = 0; tap < taps; ++tap) {
      const int64_t iy = y * shape.stride - shape.pad_top + tap / shape.kernel;
      const int64_t ix = column * shape.stride - shape.pad_left + tap % shape.kernel;
      if (iy < 0 || iy >= shape.height || ix < 0 || ix >= shape.width) continue;
      const int64_t at = ((image * x.dim(1) + iy / halved()) * x.dim(2) + ix / halved()) * shape.in;
      for (int64_t k = 0; k < shape.in; ++k) {
        total += seen[static_cast<size_t>(at + k)] * weights[static_cast<size_t>((c * shape.in + k) * taps + tap)];
      }
    }
    return total;
  }
  std::vector<double> plain(const kernels::Table& table) const {
    const Tensor from = normalised(table);
    const std::vector<double> seen = doubles(from), weights = weight.doubles(shape.x_type);
    std::vector<double> want;
    for (int64_t i = 0; i < residual.size(); ++i) {
      const int64_t c = i % shape.out, column = i / shape.out % shape.out_width();
      const int64_t y = i / shape.out / shape.out_width() % shape.out_height();
      const int64_t image = i / shape.out / shape.out_width() / shape.out_height();
      want.push_back(activated(shape.activation, sum(seen, weights, image, y, column, c)) +
                     (made_from.residual ? get(residual, i) : 0));
    }
    return want;
  }

  ConvolutionCase made_from;
  Variant variant;
  kernels::ConvolutionShape shape;
  Tensor x;
  Stored weight;
  Tensor bias, residual, stats, scale, shift, addend;
};

TEST_P(CpuProducts, convolutions_agree_with_plain_loops) {
  for (const ConvolutionCase& c : convolution_cases()) {
    SCOPED_TRACE(testing::PrintToString(c));
    const Convolved convolved(c, GetParam());
    expect_close(convolved.run(table()), convolved.plain(table()));
  }
}

TEST_P(CpuProducts, an_image_convolved_does_not_depend_on_the_others_or_the_threads) {
  for (const ConvolutionCase& c : convolution_cases()) {
    SCOPED_TRACE(testing::PrintToString(c));
    const Convolved convolved(c, GetParam());
    const Threads one(1);
    const Tensor all = convolved.run(table());
    const int64_t last = c.shape.images - 1;
    EXPECT_TRUE(same_bits(rows_of(all, last, 1), convolved.alone(last).run(table())));
    for (const int count : {2, 3}) {
      const Threads more(count);
      EXPECT_TRUE(same_bits(all, convolved.run(table()))) << count << " threads";
    }
  }
}

}  // namespace
}  // namespace inkstone
