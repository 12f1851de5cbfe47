// What moves elements and computes nothing: Transpose, Concat, Split, Slice, Gather, Expand, Tile,
// Resize, Pad.
#include <algorithm>
#include <cmath>

#include "op_call.h"

namespace ascend_sim {
namespace {

// body(from, to) with the right pointers for the type.
template <class Body>
void move(const Tensor& from, Tensor& to, Body body) {
  to.half = from.half;
  if (is_floating(from.type))
    body(from.floats.get(), to.floats.get());
  else
    body(from.ints.get(), to.ints.get());
}

// out[i...] = in[start + sum of i * stride]: Transpose, Slice, Expand and nearest Resize are all
// this.
void strided(const Tensor& from, Tensor& out, int64_t start, const std::vector<int64_t>& strides) {
  const int64_t width = out.dims.empty() ? 1 : out.dims.back(), step = strides.empty() ? 0 : strides.back();
  move(from, out, [&](const auto* x, auto* to) {
    for_rows(out.dims, {strides}, [&](int64_t row, const int64_t* at) {
      const auto* p = x + start + at[0];
      auto* q = to + row * width;
      if (step == 1)
        std::copy_n(p, width, q);
      else
        for (int64_t i = 0; i < width; ++i) q[i] = p[i * step];
    });
  });
}

std::vector<int64_t> steps_of(const Shape& dims) {
  std::vector<int64_t> steps(dims.size());
  int64_t step = 1;
  for (size_t i = dims.size(); i-- > 0; step *= dims[i]) steps[i] = step;
  return steps;
}

void transpose(OpCall& c) {
  const Tensor& x = c.in(0);
  std::vector<int64_t> order = c.integers("perm");
  if (order.empty())
    for (int64_t i = x.rank(); i-- > 0;) order.push_back(i);
  std::vector<int64_t> sorted = order;
  std::ranges::sort(sorted);
  for (size_t i = 0; i < sorted.size() || i < x.dims.size(); ++i)
    if (i >= sorted.size() || sorted[i] != static_cast<int64_t>(i)) c.refuse("perm is no order of the axes");
  const auto steps = steps_of(x.dims);
  Shape dims;
  std::vector<int64_t> strides;
  for (const int64_t axis : order) {
    dims.push_back(x.dims[axis]);
    strides.push_back(steps[axis]);
  }
  Tensor& out = c.out(x.type, dims);
  if (c.known()) strided(x, out, 0, strides);
}

void concat(OpCall& c) {
  if (!c.attribute("axis")) c.refuse("the axis is missing");
  const int64_t axis = c.axis(0, c.in(0).rank());
  Shape dims = c.in(0).dims;
  dims.at(axis) = 0;
  for (size_t i = 0; i < c.inputs(); ++i) {
    Shape other = c.in(i).dims;
    if (c.in(i).type != c.in(0).type || other.size() != dims.size()) c.refuse("inputs of different types or ranks");
    dims[axis] += other[axis];
    other[axis] = dims[axis];
    if (other != dims) c.refuse("sizes of the other axes differ");
  }
  Tensor& out = c.out(c.in(0).type, dims);
  if (!c.known()) return;
  const int64_t outer = count(Shape(dims.begin(), dims.begin() + axis));
  const int64_t inner = count(Shape(dims.begin() + axis + 1, dims.end())), whole = dims[axis] * inner;
  int64_t place = 0;
  bool half = true;
  for (size_t i = 0; i < c.inputs(); ++i) {
    const int64_t part = c.in(i).dims[axis] * inner;
    move(c.in(i), out, [&](const auto* x, auto* to) {
      for (int64_t o = 0; o < outer; ++o) std::copy_n(x + o * part, part, to + o * whole + place);
    });
    half = half && c.in(i).half;
    place += part;
  }
  out.half = half;
}

void split(OpCall& c) {
  const Tensor& x = c.in(0);
  const int64_t axis = c.axis(0, x.rank()), parts = c.node().output_size();
  std::vector<int64_t> sizes = c.has(1) ? c.ints_of(1) : c.integers("split");
  if (sizes.empty() && x.dims[axis] % parts) c.refuse("does not split evenly");
  if (sizes.empty()) sizes.assign(parts, x.dims[axis] / parts);
  int64_t sum = 0;
  for (const int64_t size : sizes) sum += size;
  if (sum != x.dims[axis] || static_cast<int64_t>(sizes.size()) != parts) c.refuse("sizes do not add up");
  const auto steps = steps_of(x.dims);
  int64_t start = 0;
  for (const int64_t size : sizes) {
    Shape dims = x.dims;
    dims[axis] = size;
    Tensor& out = c.out(x.type, dims);
    if (c.known()) strided(x, out, start * steps[axis], steps);
    start += size;
  }
}

void slice(OpCall& c) {
  const Tensor& x = c.in(0);
  const auto starts = c.ints_of(1), ends = c.ints_of(2);
  std::vector<int64_t> axes, steps(starts.size(), 1);
  if (c.has(3))
    axes = c.ints_of(3);
  else
    for (size_t i = 0; i < starts.size(); ++i) axes.push_back(static_cast<int64_t>(i));
  if (c.has(4)) steps = c.ints_of(4);
  if (ends.size() != starts.size() || axes.size() != starts.size() || steps.size() != starts.size())
    c.refuse("starts, ends, axes and steps of different lengths");
  Shape dims = x.dims;
  auto strides = steps_of(x.dims);
  int64_t first = 0;
  for (size_t i = 0; i < starts.size(); ++i) {
    const int64_t axis = from_front(axes[i], x.rank(), c), size = x.dims[axis], step = steps[i];
    if (step == 0) c.refuse("steps of 0");
    const auto place = [&](int64_t v) { return v < 0 ? v + size : v; };
    const int64_t start = std::clamp<int64_t>(place(starts[i]), 0, step > 0 ? size : size - 1);
    const int64_t end = std::clamp<int64_t>(place(ends[i]), step > 0 ? 0 : -1, size);
    const int64_t span = step > 0 ? end - start + step - 1 : start - end - step - 1;
    dims[axis] = std::max<int64_t>(0, span / std::abs(step));
    first += start * strides[axis];
    strides[axis] *= step;
  }
  Tensor& out = c.out(x.type, dims);
  if (c.known()) strided(x, out, first, strides);
}

void gather(OpCall& c) {
  const Tensor &x = c.in(0), &places = c.in(1);
  if (is_floating(places.type)) c.refuse("indices that are no whole numbers");
  const int64_t axis = c.axis(0, x.rank());
  Shape dims(x.dims.begin(), x.dims.begin() + axis);
  dims.insert(dims.end(), places.dims.begin(), places.dims.end());
  dims.insert(dims.end(), x.dims.begin() + axis + 1, x.dims.end());
  Tensor& out = c.out(x.type, dims);
  if (!c.known()) return;
  const int64_t outer = count(Shape(x.dims.begin(), x.dims.begin() + axis)), size = x.dims[axis];
  const int64_t inner = count(Shape(x.dims.begin() + axis + 1, x.dims.end())), n = places.count();
  move(x, out, [&](const auto* from, auto* to) {
    for (int64_t o = 0; o < outer; ++o)
      for (int64_t i = 0; i < n; ++i) {
        const int64_t at = places.ints[i] < 0 ? places.ints[i] + size : places.ints[i];
        if (at < 0 || at >= size) c.refuse("index " + std::to_string(places.ints[i]) + " of " + std::to_string(size));
        std::copy_n(from + (o * size + at) * inner, inner, to + (o * n + i) * inner);
      }
  });
}

void expand(OpCall& c) {
  const Tensor& x = c.in(0);
  Tensor& out = c.out(x.type, broadcast(x.dims, c.ints_of(1), c));
  if (c.known()) strided(x, out, 0, broadcast_strides(x.dims, out.dims));
}

void tile(OpCall& c) {
  const Tensor& x = c.in(0);
  const auto times = c.ints_of(1);
  if (times.size() != x.dims.size()) c.refuse("one number for each axis is needed");
  // each axis as (times, size): Expand, seen as one
  Shape dims = x.dims, wide, apart;
  const auto steps = steps_of(x.dims);
  std::vector<int64_t> strides;
  for (size_t i = 0; i < dims.size(); ++i) {
    dims[i] *= times[i];
    wide.insert(wide.end(), {times[i], x.dims[i]});
    strides.insert(strides.end(), {0, steps[i]});
  }
  Tensor& out = c.out(x.type, wide);
  if (c.known()) strided(x, out, 0, strides);
  out.dims = dims;
}

// Nearest neighbours by whole factors, rounded down as GE does whatever nearest_mode says.
void resize(OpCall& c) {
  const Tensor& x = c.in(0);
  if (c.text("mode", "nearest") != "nearest") c.refuse("only nearest is simulated");
  if (x.rank() != 4) c.refuse("takes images");
  Shape dims = x.dims;
  if (c.has(3)) {
    dims = c.ints_of(3);
  } else {
    const Tensor& scales = c.in(2);
    if (!scales.known() || scales.count() != 4) c.refuse("the scales are not known before the run");
    for (size_t i = 0; i < 4; ++i)
      dims[i] = static_cast<int64_t>(std::floor(static_cast<float>(x.dims[i]) * scales.floats[i]));
  }
  if (dims.size() != 4 || dims[0] != x.dims[0] || dims[1] != x.dims[1]) c.refuse("only height and width can change");
  if (dims[2] % x.dims[2] || dims[3] % x.dims[3]) c.refuse("not by a whole factor");
  const int64_t tall = dims[2] / x.dims[2], broad = dims[3] / x.dims[3], w = x.dims[3];
  Tensor& out = c.out(x.type, dims);
  if (!c.known()) return;
  move(x, out, [&](const auto* from, auto* to) {
    for (int64_t row = 0; row < dims[0] * dims[1] * dims[2]; ++row)
      for (int64_t i = 0; i < dims[3]; ++i) to[row * dims[3] + i] = from[row / tall * w + i / broad];
  });
}

// Pads given as all starts, then all ends; a negative one cuts.
void pad(OpCall& c) {
  const Tensor& x = c.in(0);
  const auto pads = c.has(1) ? c.ints_of(1) : c.integers("pads");
  const std::string mode = c.text("mode", "constant");
  if (pads.size() != 2 * x.dims.size()) c.refuse("two pads for each axis are needed");
  Shape dims = x.dims;
  for (size_t i = 0; i < dims.size(); ++i) dims[i] += pads[i] + pads[i + dims.size()];
  Tensor& out = c.out(x.type, dims);
  if (!c.known()) return;
  const auto steps = steps_of(x.dims);
  move(x, out, [&](const auto* from, auto* to) {
    std::decay_t<decltype(*to)> value{};
    if (c.has(2)) {
      if (is_floating(x.type))
        value = static_cast<decltype(value)>(c.in(2).floats[0]);
      else
        value = static_cast<decltype(value)>(c.in(2).ints[0]);
    }
    std::vector<int64_t> at(dims.size());
    for (int64_t i = 0; i < out.count(); ++i) {
      int64_t place = 0;
      bool inside = true;
      for (size_t axis = 0; axis < dims.size(); ++axis) {
        int64_t p = at[axis] - pads[axis];
        const int64_t last = x.dims[axis] - 1;
        if (mode == "edge") p = std::clamp<int64_t>(p, 0, last);
        if (mode == "reflect") p = p < 0 ? -p : p > last ? 2 * last - p : p;
        inside = inside && p >= 0 && p <= last;
        place += p * steps[axis];
      }
      to[i] = inside ? from[place] : value;
      for (size_t axis = dims.size(); axis-- > 0;) {
        if (++at[axis] < dims[axis]) break;
        at[axis] = 0;
      }
    }
  });
  out.half = false;
}

}  // namespace

void add_move_ops(Ops& ops) {
  ops["Transpose"] = transpose;
  ops["Concat"] = concat;
  ops["Split"] = split;
  ops["Slice"] = slice;
  ops["Gather"] = gather;
  ops["Expand"] = expand;
  ops["Tile"] = tile;
  ops["Resize"] = resize;
  ops["Pad"] = pad;
}

}  // namespace ascend_sim
