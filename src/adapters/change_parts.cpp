// Which parts a change needs, and whether they fit.
#include <cmath>
#include <optional>

#include "adapters/change.h"
#include "base/error.h"
#include "base/utf8.h"

namespace inkstone {
namespace {

// Ranks that people use end at 1024. It bounds what is computed from a file's tensors.
constexpr int64_t kMaxRank = 4096;

std::string text_of_shape(const WeightView& view) { return shown(to_string(view.shape)); }

// The parts of one layer beside the weight that they are to change.
class Fit {
 public:
  Fit(const AdapterFile& file, const LayerParts& parts, const Shape& shape)
      : file_(file), parts_(parts), shape_(shape), matrix_(shape, {}) {}

  bool has(Part part) const { return parts_.find(part); }
  const WeightMatrix& matrix() const { return matrix_; }

  const WeightView& need(Part part) const {
    const WeightView* view = parts_.find(part);
    INKSTONE_CHECK(view, file_.source(), ": ", shown(parts_.tensors.begin()->second.name), " stands without its ",
                   suffix_of(part), ": the file is incomplete");
    return *view;
  }

  // Its sizes after the first, multiplied.
  static int64_t rest(const WeightView& view) { return count(view.shape) / first(view); }
  static int64_t first(const WeightView& view) { return view.shape.empty() ? 1 : view.shape[0]; }

  void expect(const WeightView& view, bool fits) const {
    INKSTONE_CHECK(fits, file_.source(), ": the tensor ", shown(view.name), " is ", text_of_shape(view),
                   ", which does not fit the model's weight of ", to_string(shape_), " (and ", other_shapes(view), ")");
  }

  int64_t rank_of(const WeightView& view) const {
    const int64_t rank = first(view);
    INKSTONE_CHECK(rank <= kMaxRank, file_.source(), ": the tensor ", shown(view.name), " has the rank ", rank,
                   ", at most ", kMaxRank, " is read");
    return rank;
  }

 private:
  std::string other_shapes(const WeightView& view) const {
    std::string text;
    for (const auto& [part, other] : parts_.tensors)
      if (other.name != view.name) text += (text.empty() ? "" : ", ") + text_of_shape(other);
    return text.empty() ? "no other tensor" : text;
  }

  const AdapterFile& file_;
  const LayerParts& parts_;
  const Shape& shape_;
  const WeightMatrix matrix_;
};

// [out, rank] times [rank, columns]; with a middle [a, b, taps...] between [out, a] and [b, in].
int64_t check_lora(const Fit& fit) {
  const WeightView &up = fit.need(Part::kUp), &down = fit.need(Part::kDown);
  const int64_t rank = fit.rank_of(down);
  int64_t inner = rank;
  if (fit.has(Part::kMid)) {
    const WeightView& mid = fit.need(Part::kMid);
    inner = fit.rank_of(mid);
    fit.expect(mid, mid.shape.size() >= 2 && mid.shape[1] == rank && Fit::rest(mid) == rank * fit.matrix().taps);
    fit.expect(down, Fit::rest(down) == fit.matrix().channels());
  } else {
    fit.expect(down, Fit::rest(down) == fit.matrix().columns);
  }
  fit.expect(up, Fit::first(up) == fit.matrix().rows && Fit::rest(up) == inner);
  return rank;
}

struct Factor {
  Part a, b, middle;
};

// A factor a*b of [rows, columns * taps], or with a middle [i, j, taps...] between a [i, rows] and
// b [j, columns].
int64_t check_factor(const Fit& fit, const Factor& factor, int64_t rows, int64_t columns, int64_t taps) {
  const WeightView &a = fit.need(factor.a), &b = fit.need(factor.b);
  const int64_t rank = fit.rank_of(b);
  if (!fit.has(factor.middle)) {
    fit.expect(a, Fit::first(a) == rows && Fit::rest(a) == rank);
    fit.expect(b, Fit::rest(b) == columns * taps);
    return rank;
  }
  const WeightView& middle = fit.need(factor.middle);
  fit.expect(middle, middle.shape.size() >= 2 && middle.shape[1] == rank && Fit::rest(middle) == rank * taps);
  fit.expect(a, Fit::first(a) == fit.rank_of(middle) && Fit::rest(a) == rows);
  fit.expect(b, Fit::rest(b) == columns);
  return rank;
}

constexpr Factor kHada1{Part::kHadaW1A, Part::kHadaW1B, Part::kHadaT1};
constexpr Factor kHada2{Part::kHadaW2A, Part::kHadaW2B, Part::kHadaT2};
constexpr Factor kLokr1{Part::kLokrW1A, Part::kLokrW1B, Part::kLokrW1};  // no middle: kLokrW1 is absent
constexpr Factor kLokr2{Part::kLokrW2A, Part::kLokrW2B, Part::kLokrT2};

int64_t check_loha(const Fit& fit) {
  const WeightMatrix& w = fit.matrix();
  const int64_t rank = check_factor(fit, kHada1, w.rows, w.channels(), w.taps);
  check_factor(fit, kHada2, w.rows, w.channels(), w.taps);
  return rank;
}

// Two factors whose sizes multiply to the weight's. 0: neither is a product itself, so there is no rank.
int64_t check_lokr(const Fit& fit) {
  const WeightMatrix& w = fit.matrix();
  const bool whole1 = fit.has(Part::kLokrW1);
  const WeightView& left = whole1 ? fit.need(Part::kLokrW1) : fit.need(Part::kLokrW1A);
  const int64_t rows = Fit::first(left);
  const int64_t columns = Fit::rest(whole1 ? left : fit.need(Part::kLokrW1B));
  fit.expect(left, w.rows % rows == 0 && w.channels() % columns == 0);
  int64_t rank = whole1 ? 0 : check_factor(fit, kLokr1, rows, columns, 1);
  const int64_t inner_rows = w.rows / rows, inner_columns = w.channels() / columns;
  if (fit.has(Part::kLokrW2)) {
    const WeightView& right = fit.need(Part::kLokrW2);
    fit.expect(right, Fit::first(right) == inner_rows && Fit::rest(right) == inner_columns * w.taps);
    return rank;
  }
  const int64_t second = check_factor(fit, kLokr2, inner_rows, inner_columns, w.taps);
  return rank ? rank : second;
}

void check_ia3(const Fit& fit, const LayerParts& parts, const std::string& source) {
  const WeightView& view = fit.need(Part::kIa3);
  const auto on_input = parts.numbers.find(Part::kOnInput);
  INKSTONE_CHECK(on_input != parts.numbers.end(), source, ": ", shown(view.name),
                 " is a weight, not a change of one (IA3's would have ", suffix_of(Part::kOnInput),
                 " beside it): a whole model is no adapter; a U-Net is named with --unet");
  fit.expect(view, count(view.shape) == (on_input->second != 0 ? fit.matrix().channels() : fit.matrix().rows));
}

// One number for each row, or for each channel of the columns; the position of the 1 tells.
void check_magnitude(const Fit& fit, Part part) {
  if (!fit.has(part)) return;
  const WeightView& view = fit.need(part);
  const int64_t size = count(view.shape);
  const bool by_row = size == fit.matrix().rows;
  const bool by_column = part == Part::kDoraScale && size == fit.matrix().channels() && view.shape.size() >= 2 &&
                         view.shape[0] == 1 && view.shape[1] == size;
  fit.expect(view, by_row || by_column);
}

}  // namespace

WeightMatrix::WeightMatrix(const Shape& shape, std::span<float> floats) : values(floats) {
  rows = shape.empty() ? 1 : shape[0];
  columns = rows ? count(shape) / rows : 0;
  for (size_t axis = 2; axis < shape.size(); ++axis) taps *= shape[axis];
}

const char* name_of(ChangeKind kind) {
  switch (kind) {
    case ChangeKind::kLora: return "LoRA";
    case ChangeKind::kLoha: return "LoHa";
    case ChangeKind::kLokr: return "LoKr";
    case ChangeKind::kFull: return "difference";
    case ChangeKind::kIa3: return "IA3";
  }
  return "?";
}

Change change_of(const AdapterFile& file, const LayerParts& parts, ChangeKind kind, const ChangePlace& place) {
  const Fit fit(file, parts, place.shape);
  int64_t rank = 0;
  switch (kind) {
    case ChangeKind::kLora: rank = check_lora(fit); break;
    case ChangeKind::kLoha: rank = check_loha(fit); break;
    case ChangeKind::kLokr: rank = check_lokr(fit); break;
    case ChangeKind::kFull: break;  // difference_of
    case ChangeKind::kIa3: check_ia3(fit, parts, file.source()); break;
  }
  check_magnitude(fit, Part::kDoraScale);
  check_magnitude(fit, Part::kMagnitude);
  double scale = 1;
  if (const auto alpha = parts.numbers.find(Part::kAlpha); rank && alpha != parts.numbers.end())
    scale = alpha->second / static_cast<double>(rank);
  else if (rank && parts.peft)
    scale = file.peft().scale(place.component, place.path, rank).value_or(1);
  INKSTONE_CHECK(std::isfinite(static_cast<float>(scale)), file.source(), ": the scale of ",
                 shown(parts.tensors.begin()->second.name), " is ", scale);
  return {kind, parts, static_cast<float>(scale), file.source()};
}

Change difference_of(const AdapterFile& file, const LayerParts& parts, Part part, const Shape& shape) {
  LayerParts one;
  one.tensors.emplace(Part::kDiff, *parts.find(part));
  const Fit fit(file, one, shape);
  const WeightView& view = fit.need(Part::kDiff);
  fit.expect(view, Fit::first(view) == fit.matrix().rows && count(view.shape) == count(shape));
  return {ChangeKind::kFull, std::move(one), 1, file.source()};
}

}  // namespace inkstone
