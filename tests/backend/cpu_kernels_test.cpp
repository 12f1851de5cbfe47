// Every CPU kernel against plain loops in double, in every instruction set that this machine runs.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <numeric>
#include <vector>

#include "backend/cpu/kernels/kernels.h"
#include "base/error.h"
#include "base/parallel.h"
#include "base/tensor.h"
#include "numbers.h"

namespace inkstone {
namespace {

constexpr DType kF32 = DType::kF32, kBF16 = DType::kBF16;

struct Variant {
  const kernels::Table* table;
  DType type;
};

std::vector<Variant> variants() {
  std::vector<Variant> all;
  for (const kernels::Table* table : kernels::runnable_tables()) {
    for (const DType type : {kF32, kBF16}) all.push_back({table, type});
  }
  return all;
}

class CpuKernels : public testing::TestWithParam<Variant> {
 protected:
  const kernels::Table& table() const { return *GetParam().table; }
  DType type() const { return GetParam().type; }
  double tolerance(double fp32, double bf16) const { return type() == kF32 ? fp32 : bf16; }
};

INSTANTIATE_TEST_SUITE_P(Each, CpuKernels, testing::ValuesIn(variants()), [](const auto& row) {
  return std::string(row.param.table->name) + "_" + name_of(row.param.type);
});

void put(Tensor& tensor, int64_t index, float value) {
  if (tensor.type() == kF32) {
    reinterpret_cast<float*>(tensor.data())[index] = value;
  } else {
    reinterpret_cast<uint16_t*>(tensor.data())[index] = to_bf16(value);
  }
}
double get(const Tensor& tensor, int64_t index) {
  float value = 0;
  to_float(tensor.type(), tensor.data() + static_cast<size_t>(index) * size_of(tensor.type()), &value, 1);
  return static_cast<double>(value);
}
Tensor random(const Shape& shape, DType type, uint32_t seed, float factor = 1) {
  Tensor tensor(shape, type);
  Numbers numbers(seed);
  for (int64_t i = 0; i < tensor.size(); ++i) put(tensor, i, factor * numbers());
  return tensor;
}
bool same_bits(const Tensor& a, const Tensor& b) {
  return a.bytes() == b.bytes() && std::memcmp(a.data(), b.data(), a.bytes()) == 0;
}

void expect_near(const Tensor& got, const std::function<double(int64_t)>& want, double absolute, double relative) {
  for (int64_t i = 0; i < got.size(); ++i) {
    const double expected = want(i);
    ASSERT_NEAR(get(got, i), expected, absolute + relative * std::abs(expected)) << "at " << i << " of " << got.size();
  }
}

struct Threads {  // for the length of a scope
  explicit Threads(int count) : before(threads()) { set_threads(count); }
  ~Threads() { set_threads(before); }
  int before;
};

// ---- attention

struct AttentionCase {
  kernels::AttentionShape shape;
  // q, k and v are slices of one tensor
  bool packed = false;
  float factor = 1;  // how far the scores spread
};

std::ostream& operator<<(std::ostream& out, const AttentionCase& c) {
  const kernels::AttentionShape& s = c.shape;
  return out << s.rows << " rows, " << s.queries << " x " << s.keys << ", " << s.heads << " heads of " << s.head_width
             << (s.causal ? ", causal" : "") << (s.sliced ? ", sliced" : "") << (c.packed ? ", packed" : "")
             << ", factor " << c.factor;
}

AttentionCase attention_case(int64_t rows, int64_t queries, int64_t keys, int64_t heads, int64_t width) {
  AttentionCase c;
  const int64_t channels = heads * width;
  c.shape = {.rows = rows,
             .queries = queries,
             .keys = keys,
             .heads = heads,
             .head_width = width,
             .q_stride = channels,
             .k_stride = channels,
             .v_stride = channels,
             .out_stride = channels,
             .scale = 1 / std::sqrt(static_cast<float>(width))};
  return c;
}
AttentionCase causal(AttentionCase c) {
  c.shape.causal = true;
  return c;
}
AttentionCase packed(AttentionCase c) {
  c.packed = true;
  c.shape.q_stride = c.shape.k_stride = c.shape.v_stride = 3 * c.shape.heads * c.shape.head_width;
  return c;
}
AttentionCase spread(AttentionCase c, float factor) {
  c.factor = factor;
  return c;
}

std::vector<AttentionCase> attention_cases() {
  return {attention_case(2, 200, 200, 3, 40),
          attention_case(1, 64, 300, 2, 64),
          attention_case(1, 65, 77, 2, 80),
          attention_case(2, 16, 77, 1, 160),
          attention_case(1, 70, 97, 1, 512),
          attention_case(1, 1, 1, 1, 8),
          attention_case(3, 5, 2, 2, 11),
          attention_case(1, 33, 193, 1, 1),
          attention_case(1, 49, 385, 5, 23),
          causal(attention_case(2, 77, 77, 4, 64)),
          causal(attention_case(1, 130, 130, 1, 9)),
          causal(attention_case(1, 200, 200, 1, 40)),
          packed(attention_case(2, 100, 100, 2, 40)),
          spread(attention_case(1, 80, 500, 1, 40), 8),
          spread(attention_case(1, 80, 500, 2, 16), 25),
          spread(causal(attention_case(1, 100, 100, 2, 64)), 25)};
}

struct AttentionTensors {
  Tensor q, k, v, out;
};

AttentionTensors attention_inputs(const AttentionCase& c, DType type) {
  const kernels::AttentionShape& s = c.shape;
  const int64_t channels = s.heads * s.head_width;
  AttentionTensors tensors;
  if (c.packed) {
    tensors.q = random({s.rows, s.queries, 3 * channels}, type, 1, c.factor);
  } else {
    tensors.q = random({s.rows, s.queries, channels}, type, 1, c.factor);
    tensors.k = random({s.rows, s.keys, channels}, type, 2, c.factor);
    tensors.v = random({s.rows, s.keys, channels}, type, 3);
  }
  tensors.out = Tensor({s.rows, s.queries, channels}, type);
  return tensors;
}

struct Operand {
  const Tensor* tensor;
  int64_t offset;
};
Operand operand(const AttentionCase& c, const AttentionTensors& t, int index) {
  if (c.packed) return {&t.q, index * c.shape.heads * c.shape.head_width};
  return {index == 0 ? &t.q : index == 1 ? &t.k : &t.v, 0};
}

void attend(const kernels::Table& table, const AttentionCase& c, DType type, AttentionTensors& t) {
  const auto at = [&](int index) {
    const Operand from = operand(c, t, index);
    return from.tensor->data() + static_cast<size_t>(from.offset) * size_of(type);
  };
  const size_t scratch_bytes = table.attention_scratch(c.shape, type);
  const Memory scratch = allocate(scratch_bytes + 64);
  std::memset(scratch.get(), 0xff, scratch_bytes + 64);
  table.attention(c.shape, type, {at(0), at(1), at(2), t.out.data(), scratch.get()});
  for (size_t i = 0; i < 64; ++i) ASSERT_EQ(scratch[scratch_bytes + i], std::byte{0xff}) << "scratch overrun";
}

std::vector<double> plain_attention(const AttentionCase& c, const AttentionTensors& t) {
  const kernels::AttentionShape& s = c.shape;
  const int64_t channels = s.heads * s.head_width;
  std::vector<double> out(static_cast<size_t>(s.rows * s.queries * channels));
  const auto value = [&](int index, int64_t token, int64_t stride, int64_t channel) {
    const Operand from = operand(c, t, index);
    return get(*from.tensor, from.offset + token * stride + channel);
  };
  for (int64_t item = 0; item < s.rows * s.heads * s.queries; ++item) {
    const int64_t row = item / s.heads / s.queries, head = item / s.queries % s.heads, query = item % s.queries;
    const int64_t seen = s.causal ? std::min(s.keys, query + 1) : s.keys, first = head * s.head_width;
    std::vector<double> weights(static_cast<size_t>(seen));
    for (int64_t key = 0; key < seen; ++key) {
      double score = 0;
      for (int64_t d = 0; d < s.head_width; ++d) {
        score += value(0, row * s.queries + query, s.q_stride, first + d) *
                 value(1, row * s.keys + key, s.k_stride, first + d);
      }
      weights[static_cast<size_t>(key)] = score * static_cast<double>(s.scale);
    }
    const double largest = *std::max_element(weights.begin(), weights.end());
    double total = 0;
    for (double& weight : weights) total += weight = std::exp(weight - largest);
    for (int64_t d = 0; d < s.head_width; ++d) {
      double sum = 0;
      for (int64_t key = 0; key < seen; ++key) {
        sum += weights[static_cast<size_t>(key)] * value(2, row * s.keys + key, s.v_stride, first + d);
      }
      out[static_cast<size_t>((row * s.queries + query) * channels + first + d)] = sum / total;
    }
  }
  return out;
}

TEST_P(CpuKernels, attention_agrees_with_plain_loops) {
  for (const AttentionCase& c : attention_cases()) {
    SCOPED_TRACE(testing::PrintToString(c));
    AttentionTensors t = attention_inputs(c, type());
    attend(table(), c, type(), t);
    const std::vector<double> want = plain_attention(c, t);
    // a score's rounding grows with its size: factor squared times sqrt(width)
    const double absolute = tolerance(2e-6 * (1 + c.factor * c.factor), 6e-3);
    expect_near(
        t.out, [&](int64_t i) { return want[static_cast<size_t>(i)]; }, absolute, tolerance(1e-5, 8e-3));
  }
}

TEST_P(CpuKernels, attention_sliced_gives_the_same_bits) {
  for (AttentionCase c : attention_cases()) {
    SCOPED_TRACE(testing::PrintToString(c));
    AttentionTensors whole = attention_inputs(c, type()), sliced = attention_inputs(c, type());
    attend(table(), c, type(), whole);
    const size_t scratch = table().attention_scratch(c.shape, type());
    c.shape.sliced = true;
    attend(table(), c, type(), sliced);
    EXPECT_TRUE(same_bits(whole.out, sliced.out));
    EXPECT_EQ(table().attention_scratch(c.shape, type()) * static_cast<size_t>(c.shape.rows * c.shape.heads), scratch);
  }
}

TEST_P(CpuKernels, attention_of_a_row_does_not_depend_on_the_others) {
  for (AttentionCase c : attention_cases()) {
    if (c.packed || c.shape.rows == 1) continue;
    SCOPED_TRACE(testing::PrintToString(c));
    AttentionTensors all = attention_inputs(c, type());
    attend(table(), c, type(), all);
    const int64_t last = c.shape.rows - 1;
    const auto row_of = [&](const Tensor& tensor) {
      Tensor row({1, tensor.dim(1), tensor.dim(2)}, type());
      std::memcpy(row.data(), tensor.data() + static_cast<size_t>(last) * row.bytes(), row.bytes());
      return row;
    };
    AttentionTensors one = {row_of(all.q), row_of(all.k), row_of(all.v), {}};
    one.out = Tensor(one.q.shape(), type());
    c.shape.rows = 1;
    attend(table(), c, type(), one);
    EXPECT_TRUE(same_bits(row_of(all.out), one.out));
  }
}

TEST_P(CpuKernels, attention_does_not_depend_on_the_threads) {
  for (const AttentionCase& c : attention_cases()) {
    SCOPED_TRACE(testing::PrintToString(c));
    AttentionTensors one = attention_inputs(c, type()), more = attention_inputs(c, type());
    {
      const Threads threads(1);
      attend(table(), c, type(), one);
    }
    const Threads threads(3);
    attend(table(), c, type(), more);
    EXPECT_TRUE(same_bits(one.out, more.out));
  }
}

// A score far above the first block's maximum must raise the reference, and what came before it
// must vanish.
TEST_P(CpuKernels, attention_follows_a_late_maximum) {
  const AttentionCase c = attention_case(1, 70, 400, 1, 40);
  AttentionTensors t = attention_inputs(c, type());
  for (int64_t d = 0; d < 40; ++d) {
    for (int64_t query = 0; query < 70; ++query) put(t.q, query * 40 + d, query % 2 ? 6.0f : -6.0f);
    put(t.k, 250 * 40 + d, 6.0f);
    put(t.k, 399 * 40 + d, -6.0f);
  }
  attend(table(), c, type(), t);
  for (int64_t query = 0; query < 70; ++query) {
    const int64_t key = query % 2 ? 250 : 399;
    for (int64_t d = 0; d < 40; ++d)
      ASSERT_NEAR(get(t.out, query * 40 + d), get(t.v, key * 40 + d), tolerance(1e-6, 1e-2));
  }
}

TEST_P(CpuKernels, attention_shows_a_nan) {
  const AttentionCase c = attention_case(1, 20, 300, 1, 16);
  for (const int64_t place : {0, 16 * 200}) {
    AttentionTensors t = attention_inputs(c, type());
    put(t.k, place, std::numeric_limits<float>::quiet_NaN());
    attend(table(), c, type(), t);
    for (int64_t i = 0; i < t.out.size(); ++i) ASSERT_TRUE(std::isnan(get(t.out, i))) << place << " " << i;
  }
}

// ---- normalisation

struct GroupCase {
  int64_t rows, pixels, channels, groups;
  bool silu, addend;
};

constexpr GroupCase kGroupCases[] = {{2, 64, 320, 32, true, true},   {1, 200, 96, 32, false, false},
                                     {3, 37, 33, 3, true, false},    {1, 1, 7, 1, false, true},
                                     {2, 4500, 32, 32, false, true}, {1, 70, 1290, 5, true, true}};

struct GroupTensors {
  std::vector<float> addend, scale, shift, stats;
  Tensor x, out;
};

GroupTensors group_inputs(const GroupCase& c, DType type) {
  GroupTensors t;
  if (c.addend) t.addend = Numbers(5).take(c.rows * c.channels);
  t.scale = Numbers(6).take(c.channels);
  t.shift = Numbers(7).take(c.channels);
  t.stats.resize(static_cast<size_t>(c.rows * c.groups * 2));
  t.x = random({c.rows, c.pixels, c.channels}, type, 8);
  for (int64_t i = 0; i < t.x.size(); ++i) put(t.x, i, static_cast<float>(get(t.x, i)) + 3);  // a mean far from 0
  t.out = Tensor(t.x.shape(), type);
  return t;
}

kernels::GroupNormData group_data(GroupTensors& t, const Memory& scratch) {
  return {.x = t.x.data(),
          .addend = t.addend.empty() ? nullptr : t.addend.data(),
          .scale = t.scale.data(),
          .shift = t.shift.data(),
          .stats = t.stats.data(),
          .out = t.out.data(),
          .scratch = scratch.get()};
}

kernels::GroupNormShape group_shape(const GroupCase& c) {
  return {c.rows, c.pixels, c.channels, c.groups, 1e-5f, c.silu};
}

void normalise(const kernels::Table& table, const GroupCase& c, DType type, GroupTensors& t) {
  const Memory scratch = allocate(table.group_scratch(group_shape(c)));
  table.group_norm(group_shape(c), type, group_data(t, scratch));
}

std::vector<double> plain_group_norm(const GroupCase& c, const GroupTensors& t) {
  std::vector<double> out(static_cast<size_t>(t.x.size()));
  const int64_t width = c.channels / c.groups;
  for (int64_t row = 0; row < c.rows; ++row) {
    const auto value = [&](int64_t pixel, int64_t channel) {
      const double addend =
          c.addend ? static_cast<double>(t.addend[static_cast<size_t>(row * c.channels + channel)]) : 0;
      return get(t.x, (row * c.pixels + pixel) * c.channels + channel) + addend;
    };
    for (int64_t group = 0; group < c.groups; ++group) {
      double sum = 0, squares = 0;
      const double count = static_cast<double>(width * c.pixels);
      const auto each = [&](const auto& body) {
        for (int64_t p = 0; p < c.pixels; ++p) {
          for (int64_t ch = group * width; ch < (group + 1) * width; ++ch) body(p, ch);
        }
      };
      each([&](int64_t p, int64_t ch) { sum += value(p, ch); });
      const double mean = sum / count;
      each([&](int64_t p, int64_t ch) { squares += (value(p, ch) - mean) * (value(p, ch) - mean); });
      const double factor = 1 / std::sqrt(squares / count + 1e-5);
      each([&](int64_t p, int64_t ch) {
        const auto i = static_cast<size_t>(ch);
        const double y =
            (value(p, ch) - mean) * factor * static_cast<double>(t.scale[i]) + static_cast<double>(t.shift[i]);
        out[static_cast<size_t>((row * c.pixels + p) * c.channels + ch)] = c.silu ? y / (1 + std::exp(-y)) : y;
      });
    }
  }
  return out;
}

TEST_P(CpuKernels, group_norm_agrees_with_plain_loops) {
  for (const GroupCase& c : kGroupCases) {
    SCOPED_TRACE(c.channels);
    GroupTensors t = group_inputs(c, type());
    normalise(table(), c, type(), t);
    const std::vector<double> want = plain_group_norm(c, t);
    expect_near(
        t.out, [&](int64_t i) { return want[static_cast<size_t>(i)]; }, tolerance(1e-5, 1e-5), tolerance(5e-6, 4e-3));
  }
}

TEST_P(CpuKernels, group_norm_in_bands_alone_and_in_place_gives_the_same_bits) {
  for (const GroupCase& c : kGroupCases) {
    SCOPED_TRACE(c.channels);
    GroupTensors whole = group_inputs(c, type()), bands = group_inputs(c, type()), placed = group_inputs(c, type());
    normalise(table(), c, type(), whole);
    const Memory scratch = allocate(table().group_scratch(group_shape(c)));
    {
      const Threads threads(1);
      table().group_stats(group_shape(c), type(), group_data(bands, scratch));
    }
    EXPECT_EQ(whole.stats, bands.stats);
    const size_t row_bytes = bands.x.bytes() / static_cast<size_t>(c.rows);
    const size_t pixel_bytes = row_bytes / static_cast<size_t>(c.pixels);
    for (int64_t row = 0; row < c.rows; ++row) {
      const int64_t cut = c.pixels / 3;
      for (const auto& [first, last] : {std::pair{int64_t{0}, cut}, std::pair{cut, c.pixels}}) {
        kernels::GroupNormShape shape = group_shape(c);
        shape.rows = 1;
        shape.pixels = last - first;
        if (shape.pixels == 0) continue;
        kernels::GroupNormData data = group_data(bands, scratch);
        const size_t offset = static_cast<size_t>(row) * row_bytes + static_cast<size_t>(first) * pixel_bytes;
        data.x = bands.x.data() + offset;
        data.out = bands.out.data() + offset;
        data.stats += row * c.groups * 2;
        if (data.addend) data.addend += row * c.channels;
        table().group_apply(shape, type(), data);
      }
    }
    EXPECT_TRUE(same_bits(whole.out, bands.out));
    kernels::GroupNormData data = group_data(placed, scratch);
    data.out = placed.x.data();
    const Threads threads(3);
    table().group_norm(group_shape(c), type(), data);
    EXPECT_TRUE(same_bits(whole.out, placed.x));
  }
}

TEST_P(CpuKernels, group_norm_of_a_row_does_not_depend_on_the_others) {
  GroupTensors all = group_inputs({3, 150, 64, 8, true, true}, type());
  normalise(table(), {3, 150, 64, 8, true, true}, type(), all);
  GroupTensors one = group_inputs({1, 150, 64, 8, true, true}, type());
  std::memcpy(one.x.data(), all.x.data() + 2 * one.x.bytes(), one.x.bytes());
  one.addend.assign(all.addend.begin() + 128, all.addend.end());
  normalise(table(), {1, 150, 64, 8, true, true}, type(), one);
  EXPECT_EQ(std::memcmp(one.out.data(), all.out.data() + 2 * one.out.bytes(), one.out.bytes()), 0);
}

TEST_P(CpuKernels, layer_norm_agrees_with_plain_loops) {
  for (const int64_t width : {1, 7, 16, 65, 320, 768, 1283}) {
    SCOPED_TRACE(width);
    const Tensor x = random({5, width}, type(), 9, 4);
    const std::vector<float> scale = Numbers(10).take(width), shift = Numbers(11).take(width);
    Tensor out(x.shape(), type());
    table().layer_norm({5, width, 1e-5f, scale.data(), shift.data()}, type(), x.data(), out.data());
    const auto want = [&](int64_t i) {
      const int64_t row = i / width;
      double sum = 0, squares = 0;
      for (int64_t c = 0; c < width; ++c) sum += get(x, row * width + c);
      const double mean = sum / static_cast<double>(width);
      for (int64_t c = 0; c < width; ++c) squares += std::pow(get(x, row * width + c) - mean, 2);
      const auto c = static_cast<size_t>(i % width);
      return (get(x, i) - mean) / std::sqrt(squares / static_cast<double>(width) + 1e-5) *
                 static_cast<double>(scale[c]) +
             static_cast<double>(shift[c]);
    };
    expect_near(out, want, tolerance(2e-6, 1e-5), tolerance(2e-6, 4e-3));
    Tensor one = random({5, width}, type(), 9, 4);
    table().layer_norm({1, width, 1e-5f, scale.data(), shift.data()}, type(), one.data(), one.data());
    EXPECT_EQ(std::memcmp(one.data(), out.data(), out.bytes() / 5), 0);
  }
}

// ---- elementwise

double gelu(double x) { return 0.5 * x * std::erfc(-x / std::sqrt(2.0)); }
double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

TEST_P(CpuKernels, activations_agree_with_libm) {
  const std::pair<Activation, double (*)(double)> rows[] = {
      {Activation::kNone, [](double x) { return x; }},
      {Activation::kSilu, [](double x) { return x * sigmoid(x); }},
      {Activation::kGelu, gelu},
      {Activation::kQuickGelu, [](double x) { return x * sigmoid(1.702 * x); }},
      {Activation::kRelu, [](double x) { return std::max(x, 0.0); }},
      {Activation::kLeakyRelu, [](double x) { return std::max(x, 0.2 * x); }}};
  Tensor x({3001}, type());
  for (int64_t i = 0; i < x.size(); ++i) put(x, i, (static_cast<float>(i) - 1500) * 0.01f);
  put(x, 0, -200);
  put(x, 3000, 200);
  for (const auto& row : rows) {
    const Activation kind = row.first;
    Tensor out(x.shape(), type());
    table().activate(kind, x.size(), type(), x.data(), out.data());
    expect_near(
        out, [&](int64_t i) { return row.second(get(x, i)); }, 3e-7, tolerance(1e-6, 4e-3));
    Tensor place = x.clone();
    table().activate(kind, x.size(), type(), place.data(), place.data());
    EXPECT_TRUE(same_bits(place, out));
  }
}

TEST_P(CpuKernels, geglu_agrees_with_plain_loops) {
  for (const int64_t width : {1, 5, 64, 131}) {
    const Tensor x = random({9, 2 * width}, type(), 12, 3);
    Tensor out({9, width}, type());
    table().geglu(9, width, type(), x.data(), out.data());
    const auto want = [&](int64_t i) {
      const int64_t first = i / width * 2 * width + i % width;
      return get(x, first) * gelu(get(x, first + width));
    };
    expect_near(out, want, 5e-6, tolerance(1e-6, 4e-3));
  }
}

TEST_P(CpuKernels, sums_and_products_are_rounded_once) {
  for (const int64_t count : {1, 15, 4099, 70001}) {
    const Tensor a = random({count}, type(), 13), b = random({count}, type(), 14);
    Tensor sum({count}, type()), product({count}, type()), want({count}, type());
    table().add(count, type(), a.data(), b.data(), sum.data());
    table().multiply(count, type(), a.data(), b.data(), product.data());
    for (int64_t i = 0; i < count; ++i) put(want, i, static_cast<float>(get(a, i)) + static_cast<float>(get(b, i)));
    EXPECT_TRUE(same_bits(sum, want));
    for (int64_t i = 0; i < count; ++i) put(want, i, static_cast<float>(get(a, i)) * static_cast<float>(get(b, i)));
    EXPECT_TRUE(same_bits(product, want));
  }
}

TEST_P(CpuKernels, broadcasts_follow_their_strides) {
  const kernels::BroadcastShape rows[] = {
      {{2, 3, 5, 33}, {495, 165, 33, 1}, {0, 0, 0, 1}},  // a vector over the last axis
      {{2, 3, 5, 33}, {0, 3, 1, 0}, {495, 165, 33, 1}},  // a number for each line
      {{1, 4, 6, 7}, {0, 42, 7, 1}, {0, 1, 4, 24}},      // transposed
      {{1, 1, 1, 40}, {0, 0, 0, 1}, {0, 0, 0, 0}}};      // one number
  const Tensor a = random({2 * 3 * 5 * 33}, type(), 15), b = random({2 * 3 * 5 * 33}, type(), 16);
  for (const kernels::BroadcastShape& shape : rows) {
    const auto& n = shape.sizes;
    Tensor sum({n[0] * n[1] * n[2] * n[3]}, type()), product(sum.shape(), type());
    table().add_broadcast(shape, type(), a.data(), b.data(), sum.data());
    table().multiply_broadcast(shape, type(), a.data(), b.data(), product.data());
    const auto at = [&](const kernels::Sizes4& strides, int64_t i) {
      int64_t place = 0;
      for (int axis = 3; axis >= 0; i /= n[axis--]) place += i % n[axis] * strides[axis];
      return place;
    };
    const double rounding = tolerance(1e-7, 4e-3);
    expect_near(
        sum, [&](int64_t i) { return get(a, at(shape.a, i)) + get(b, at(shape.b, i)); }, 1e-7, rounding);
    expect_near(
        product, [&](int64_t i) { return get(a, at(shape.a, i)) * get(b, at(shape.b, i)); }, 1e-7, rounding);
  }
}

TEST_P(CpuKernels, casts_are_those_of_base) {
  std::vector<float> values = Numbers(17).take(1003);
  const float special[] = {0,
                           -0.0f,
                           65504,
                           2e-38f,
                           3e38f,
                           std::numeric_limits<float>::infinity(),
                           std::numeric_limits<float>::quiet_NaN(),
                           1.00390625f,
                           1.01171875f};
  std::copy(std::begin(special), std::end(special), values.begin());
  for (const DType from : {kF32, kBF16, DType::kF16}) {
    for (const DType to : {kF32, kBF16, DType::kF16}) {
      Tensor x({1003}, from), out({1003}, to);
      for (size_t i = 0; i < values.size(); ++i) {
        const uint16_t half = from == kBF16 ? to_bf16(values[i]) : to_f16(values[i]);
        std::memcpy(x.data() + i * size_of(from), from == kF32 ? static_cast<const void*>(&values[i]) : &half,
                    size_of(from));
      }
      table().cast(1003, from, x.data(), to, out.data());
      for (size_t i = 0; i < values.size(); ++i) {
        float value = 0;
        to_float(from, x.data() + i * size_of(from), &value, 1);
        uint32_t want = to == kF32    ? std::bit_cast<uint32_t>(value)
                        : to == kBF16 ? to_bf16(value)
                                      : to_f16(value),
                 got = 0;
        std::memcpy(&got, out.data() + i * size_of(to), size_of(to));
        ASSERT_EQ(got, want) << values[i] << " from " << name_of(from) << " to " << name_of(to);
      }
    }
  }
}

TEST_P(CpuKernels, planes_and_channels_last_are_inverse) {
  for (const auto& [rows, channels, pixels] : {std::tuple{2, 3, 600}, std::tuple{1, 4, 64}, std::tuple{3, 17, 1}}) {
    for (const DType other : {kF32, kBF16}) {
      Tensor x = random({rows, channels, pixels}, kBF16, 18), last({rows, pixels, channels}, other),
             back(x.shape(), kBF16);
      table().to_channels_last({rows, channels, pixels}, kBF16, x.data(), other, last.data());
      for (int64_t r = 0; r < rows; ++r) {
        for (int64_t c = 0; c < channels; ++c) {
          for (int64_t p = 0; p < pixels; ++p) {
            ASSERT_EQ(get(last, (r * pixels + p) * channels + c), get(x, (r * channels + c) * pixels + p));
          }
        }
      }
      table().to_planes({rows, channels, pixels}, other, last.data(), kBF16, back.data());
      EXPECT_TRUE(same_bits(x, back));
    }
  }
}

// ---- what has no variants

TEST(Moves, upsampling_repeats_each_pixel_four_times_within_the_size) {
  for (const DType type : {kF32, kBF16})
    for (const auto& [height, width] : {std::pair{6, 10}, {5, 10}, {6, 9}, {5, 9}}) {
      const Tensor x = random({2, 3, 5, 7}, type, 19);
      Tensor out({2, height, width, 7}, type);
      kernels::upsample2x(2, height, width, 7 * size_of(type), x.data(), out.data());
      for (int64_t i = 0; i < out.size(); ++i) {
        const int64_t c = i % 7, px = i / 7 % width, py = i / 7 / width % height, n = i / 7 / width / height;
        ASSERT_EQ(get(out, i), get(x, ((n * 3 + py / 2) * 5 + px / 2) * 7 + c)) << height << " x " << width;
      }
    }
}

TEST(Moves, strided_copies_concatenate_and_slice) {
  for (const DType type : {kF32, kBF16}) {
    const Tensor a = random({2, 5, 3}, type, 20), b = random({2, 5, 4}, type, 21);
    Tensor both({2, 5, 7}, type), middle({2, 5, 2}, type);
    kernels::copy_strided({{1, 2, 5, 3}, {0, 15, 3, 1}, {0, 35, 7, 1}}, type, a.data(), both.data());
    kernels::copy_strided({{1, 2, 5, 4}, {0, 20, 4, 1}, {0, 35, 7, 1}}, type, b.data(),
                          both.data() + 3 * size_of(type));
    kernels::copy_strided({{2, 1, 2, 5}, {35, 0, 1, 7}, {10, 0, 1, 2}}, type, both.data() + 2 * size_of(type),
                          middle.data());
    for (int64_t i = 0; i < 70; ++i) {
      ASSERT_EQ(get(both, i), i % 7 < 3 ? get(a, i / 7 * 3 + i % 7) : get(b, i / 7 * 4 + i % 7 - 3));
    }
    for (int64_t i = 0; i < 20; ++i) ASSERT_EQ(get(middle, i), get(both, i / 2 * 7 + 2 + i % 2));
  }
}

TEST(Embedding, rows_are_looked_up_and_ids_checked) {
  for (const DType from : {kF32, kBF16, DType::kF16}) {
    Tensor table({4, 9}, from);
    for (int64_t i = 0; i < 36; ++i) {
      const float value = static_cast<float>(i) / 8;
      const uint16_t half = from == kBF16 ? to_bf16(value) : to_f16(value);
      std::memcpy(table.data() + static_cast<size_t>(i) * size_of(from),
                  from == kF32 ? static_cast<const void*>(&value) : &half, size_of(from));
    }
    const int32_t ids[] = {3, 0, 3}, low[] = {-1}, high[] = {4};
    for (const DType to : {kF32, kBF16}) {
      Tensor out({3, 9}, to);
      kernels::embed({4, 9, from, table.data()}, ids, to, out.data());
      for (int64_t i = 0; i < 27; ++i) ASSERT_EQ(get(out, i), get(table, ids[i / 9] * 9 + i % 9));
      EXPECT_THROW(kernels::embed({4, 9, from, table.data()}, low, to, out.data()), Error);
      EXPECT_THROW(kernels::embed({4, 9, from, table.data()}, high, to, out.data()), Error);
    }
  }
}

TEST(TimeEmbedding, has_the_published_frequencies) {
  const float timesteps[] = {0, 1, 981, 0.5f};
  for (const bool flip : {true, false}) {
    for (const float freq_shift : {0.0f, 1.0f}) {
      Tensor out({4, 321}, kF32);
      kernels::time_embedding({321, flip, freq_shift}, timesteps, kF32, out.data());
      for (int64_t i = 0; i < out.size(); ++i) {
        const int64_t c = i % 321;
        const auto t = static_cast<double>(timesteps[i / 321]);
        const double angle =
            t * std::exp(-std::log(10000.0) * static_cast<double>(c % 160) / (160 - static_cast<double>(freq_shift)));
        const double want = c == 320 ? 0 : (c < 160) == flip ? std::cos(angle) : std::sin(angle);
        ASSERT_NEAR(get(out, i), want, 1e-6 + 1e-6 * t) << i;
      }
    }
  }
}

TEST(Kernels, portable_is_always_there_and_the_choice_is_one_of_the_runnable) {
  EXPECT_STREQ(kernels::runnable_tables().back()->name, "portable");
  const auto all = kernels::runnable_tables();
  EXPECT_NE(std::find(all.begin(), all.end(), &kernels::table()), all.end());
}

}  // namespace
}  // namespace inkstone
