// The numbers of a change.
#include "adapters/change.h"

#include <cmath>
#include <limits>
#include <vector>

#include "adapters/arithmetic.h"
#include "base/error.h"
#include "base/parallel.h"
#include "base/utf8.h"
#include "weights/finite.h"

namespace inkstone {
namespace {

constexpr int64_t kGrain = 1 << 14;  // elements for one thread at least

struct Matrix {
  std::vector<float> values;
  int64_t rows = 0, columns = 0;
};

int64_t grain_rows(int64_t columns) { return std::max<int64_t>(1, kGrain / std::max<int64_t>(1, columns)); }

Matrix numbers_of(const Change& change, Part part) {
  const WeightView& view = *change.parts.find(part);
  const auto bad = first_not_finite(view.type, view.bytes);
  INKSTONE_CHECK(!bad, change.source, ": the tensor ", shown(view.name), " has a NaN or an infinity at element ",
                 bad.value_or(0), " of ", shown(to_string(view.shape)), ": the adapter is damaged");
  Matrix matrix{std::vector<float>(static_cast<size_t>(count(view.shape)))};
  finite_to_float(view.type, view.bytes, matrix.values);
  matrix.rows = view.shape.empty() ? 1 : view.shape[0];
  matrix.columns = count(view.shape) / matrix.rows;
  return matrix;
}

Matrix transposed(const Matrix& from) {
  Matrix to{std::vector<float>(from.values.size()), from.columns, from.rows};
  for (int64_t row = 0; row < from.rows; ++row)
    for (int64_t column = 0; column < from.columns; ++column)
      to.values[static_cast<size_t>(column * from.rows + row)] =
          from.values[static_cast<size_t>(row * from.columns + column)];
  return to;
}

// middle [i, j * taps] and b [j, columns] -> [i, columns * taps]: sums over j
Matrix widened(const Matrix& middle, const Matrix& b) {
  const int64_t taps = middle.columns / b.rows, width = b.columns * taps;
  Matrix result{std::vector<float>(static_cast<size_t>(middle.rows * width)), middle.rows, width};
  parallel_for(middle.rows, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      for (int64_t j = 0; j < b.rows; ++j)
        for (int64_t column = 0; column < b.columns; ++column) {
          const float value = b.values[static_cast<size_t>(j * b.columns + column)];
          const float* from = middle.values.data() + i * middle.columns + j * taps;
          float* to = result.values.data() + i * width + column * taps;
          for (int64_t tap = 0; tap < taps; ++tap) to[tap] += from[tap] * value;
        }
  });
  return result;
}

// A matrix up * down.
struct Pair {
  Matrix up, down;
};

Pair lora_pair(const Change& change) {
  Pair pair{numbers_of(change, Part::kUp), numbers_of(change, Part::kDown)};
  if (change.parts.find(Part::kMid)) pair.down = widened(numbers_of(change, Part::kMid), pair.down);
  return pair;
}

Pair factor_pair(const Change& change, Part a, Part b, Part middle) {
  Pair pair{numbers_of(change, a), numbers_of(change, b)};
  if (!change.parts.find(middle)) return pair;
  return {transposed(pair.up), widened(numbers_of(change, middle), pair.down)};
}

void add_pair(const Pair& pair, float scale, int64_t rows, int64_t columns, float* out) {
  const LowRankProduct product{pair.up.values.data(), pair.down.values.data(), out, pair.up.columns, columns, scale};
  parallel_for(rows, grain_rows(columns), [&](int64_t begin, int64_t end) { add_product(product, begin, end); });
}

void add_loha(const Change& change, float scale, WeightMatrix& w) {
  const Pair one = factor_pair(change, Part::kHadaW1A, Part::kHadaW1B, Part::kHadaT1);
  const Pair two = factor_pair(change, Part::kHadaW2A, Part::kHadaW2B, Part::kHadaT2);
  const int64_t columns = w.columns;
  parallel_for(w.rows, grain_rows(columns), [&](int64_t begin, int64_t end) {
    std::vector<float> a(static_cast<size_t>(columns)), b(static_cast<size_t>(columns));
    for (int64_t row = begin; row < end; ++row) {
      std::ranges::fill(a, 0.0f);
      std::ranges::fill(b, 0.0f);
      const auto up = [&](const Pair& pair) { return pair.up.values.data() + row * pair.up.columns; };
      add_product({up(one), one.down.values.data(), a.data(), one.up.columns, columns, 1}, 0, 1);
      add_product({up(two), two.down.values.data(), b.data(), two.up.columns, columns, 1}, 0, 1);
      float* to = w.values.data() + row * columns;
      for (size_t i = 0; i < a.size(); ++i) to[i] += scale * (a[i] * b[i]);
    }
  });
}

Matrix product_of(const Pair& pair) {
  Matrix matrix{std::vector<float>(static_cast<size_t>(pair.up.rows * pair.down.columns)), pair.up.rows,
                pair.down.columns};
  add_pair(pair, 1, matrix.rows, matrix.columns, matrix.values.data());
  return matrix;
}

// The Kronecker product: [a * rows of b, c * columns of b].
void add_lokr(const Change& change, float scale, WeightMatrix& w) {
  const auto factor = [&](Part whole, Part a, Part b, Part middle) {
    return change.parts.find(whole) ? numbers_of(change, whole) : product_of(factor_pair(change, a, b, middle));
  };
  const Matrix left = factor(Part::kLokrW1, Part::kLokrW1A, Part::kLokrW1B, Part::kLokrW1);
  const Matrix right = factor(Part::kLokrW2, Part::kLokrW2A, Part::kLokrW2B, Part::kLokrT2);
  parallel_for(w.rows, grain_rows(w.columns), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const float* outer = left.values.data() + row / right.rows * left.columns;
      const float* inner = right.values.data() + row % right.rows * right.columns;
      float* to = w.values.data() + row * w.columns;
      for (int64_t i = 0; i < left.columns; ++i)
        for (int64_t j = 0; j < right.columns; ++j) to[i * right.columns + j] += scale * (outer[i] * inner[j]);
    }
  });
}

void add_difference(const Change& change, float scale, WeightMatrix& w) {
  const Matrix difference = numbers_of(change, Part::kDiff);
  for (size_t i = 0; i < w.values.size(); ++i) w.values[i] += scale * difference.values[i];
}

// scale * the difference is added.
void add(const Change& change, float scale, WeightMatrix& w) {
  switch (change.kind) {
    case ChangeKind::kLora: return add_pair(lora_pair(change), scale, w.rows, w.columns, w.values.data());
    case ChangeKind::kLoha: return add_loha(change, scale, w);
    case ChangeKind::kLokr: return add_lokr(change, scale, w);
    case ChangeKind::kFull: return add_difference(change, scale, w);
    case ChangeKind::kIa3: return;
  }
}

// f(group, elements) for each row, or for each channel of the columns.
template <typename F>
void for_elements(const WeightMatrix& w, bool by_row, const F& f) {
  for (int64_t row = 0; row < w.rows; ++row)
    for (int64_t column = 0; column < w.columns; ++column)
      f(static_cast<size_t>(by_row ? row : column / w.taps), w.values[static_cast<size_t>(row * w.columns + column)]);
}

std::vector<double> norms_of(const WeightMatrix& w, bool by_row) {
  std::vector<double> norms(static_cast<size_t>(by_row ? w.rows : w.channels()));
  for_elements(w, by_row, [&](size_t group, float value) { norms[group] += static_cast<double>(value) * value; });
  for (double& norm : norms) norm = std::sqrt(norm);
  return norms;
}

// Each group of the weight and its difference gets the length that the adapter says. LyCORIS adds the
// whole difference, and of the change of length takes the part that the strength says.
void apply_dora_scale(const Change& change, float strength, WeightMatrix& w) {
  add(change, change.scale, w);
  const WeightView& view = *change.parts.find(Part::kDoraScale);
  const bool by_row = view.shape.size() < 2 || (view.shape[0] == w.rows && count(view.shape) == w.rows);
  std::vector<float> factors = numbers_of(change, Part::kDoraScale).values;
  const std::vector<double> norms = norms_of(w, by_row);
  for (size_t i = 0; i < factors.size(); ++i) {
    const float norm = static_cast<float>(norms[i]) + std::numeric_limits<float>::epsilon();
    factors[i] = 1 + strength * (factors[i] / norm - 1);
  }
  for_elements(w, by_row, [&](size_t group, float& value) { value *= factors[group]; });
}

// PEFT adds as much of the difference as the strength says, then sets the whole length.
void apply_magnitude(const Change& change, float strength, WeightMatrix& w) {
  add(change, strength * change.scale, w);
  std::vector<float> factors = numbers_of(change, Part::kMagnitude).values;
  const std::vector<double> norms = norms_of(w, true);
  for (size_t i = 0; i < factors.size(); ++i) {
    INKSTONE_CHECK(norms[i] > 0, change.source, ": ", shown(change.parts.find(Part::kMagnitude)->name),
                   " is the length of a row of zeros");
    factors[i] /= static_cast<float>(norms[i]);
  }
  for_elements(w, true, [&](size_t group, float& value) { value *= factors[group]; });
}

void apply_ia3(const Change& change, float strength, WeightMatrix& w) {
  const Matrix factors = numbers_of(change, Part::kIa3);
  const bool by_row = change.parts.numbers.at(Part::kOnInput) == 0;
  for_elements(w, by_row, [&](size_t group, float& value) { value += value * factors.values[group] * strength; });
}

}  // namespace

void apply(const Change& change, float strength, WeightMatrix& matrix) {
  if (change.kind == ChangeKind::kIa3) return apply_ia3(change, strength, matrix);
  if (change.parts.find(Part::kDoraScale)) return apply_dora_scale(change, strength, matrix);
  if (change.parts.find(Part::kMagnitude)) return apply_magnitude(change, strength, matrix);
  add(change, strength * change.scale, matrix);
}

}  // namespace inkstone
