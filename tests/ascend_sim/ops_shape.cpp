// What keeps the data and changes the shape, and what makes data of nothing.
#include <algorithm>

#include "op_call.h"

namespace ascend_sim {
namespace {

void with_dims(OpCall& c, Shape dims) {
  Tensor t = c.in(0);
  if (count(dims) != t.count()) c.refuse("does not fit into " + to_string(dims));
  t.dims = std::move(dims);
  c.give(std::move(t));
}

void reshape(OpCall& c) {
  const Shape& from = c.in(0).dims;
  Shape dims = c.ints_of(1);
  int64_t open = -1, rest = 1;
  for (size_t i = 0; i < dims.size(); ++i) {
    if (dims[i] == 0 && !c.integer("allowzero", 0)) {
      if (i >= from.size()) c.refuse("0 stands for an axis that is not there");
      dims[i] = from[i];
    }
    if (dims[i] == -1) {
      if (open >= 0) c.refuse("two open sizes");
      open = static_cast<int64_t>(i);
    } else {
      rest *= dims[i];
    }
  }
  if (open >= 0) dims[open] = rest ? count(from) / rest : 0;
  with_dims(c, dims);
}

// Axes are an attribute up to opset 12, an input from 13.
std::vector<int64_t> axes_of(const OpCall& c) { return c.has(1) ? c.ints_of(1) : c.integers("axes"); }

void squeeze(OpCall& c) {
  const Shape& from = c.in(0).dims;
  std::vector<bool> gone(from.size());
  const auto axes = axes_of(c);
  for (const int64_t axis : axes) gone[from_front(axis, c.in(0).rank(), c)] = true;
  Shape dims;
  for (size_t i = 0; i < from.size(); ++i) {
    if (gone[i] && from[i] != 1) c.refuse("an axis to leave out is not 1");
    if (!gone[i] && !(axes.empty() && from[i] == 1)) dims.push_back(from[i]);
  }
  with_dims(c, dims);
}

void unsqueeze(OpCall& c) {
  const auto axes = axes_of(c);
  Shape dims(c.in(0).dims.size() + axes.size(), -1);
  for (const int64_t axis : axes) dims[from_front(axis, static_cast<int64_t>(dims.size()), c)] = 1;
  auto next = c.in(0).dims.begin();
  for (int64_t& d : dims) {
    if (d == -1 && next == c.in(0).dims.end()) c.refuse("an axis named twice");
    if (d == -1) d = *next++;
  }
  with_dims(c, dims);
}

void flatten(OpCall& c) {
  const Shape& from = c.in(0).dims;
  const int64_t given = c.integer("axis", 1), axis = given < 0 ? given + c.in(0).rank() : given;
  if (axis < 0 || axis > c.in(0).rank()) c.refuse("axis out of range");
  with_dims(c, {count(Shape(from.begin(), from.begin() + axis)), count(Shape(from.begin() + axis, from.end()))});
}

void constant(OpCall& c) {
  if (const auto* value = c.attribute("value")) return c.give(tensor_of(value->t()));
  if (c.attribute("value_ints")) return c.give(of_ints(kInt64, c.integers("value_ints")));
  if (const auto* value = c.attribute("value_int")) {
    Tensor t = of_ints(kInt64, {value->i()});
    t.dims = {};
    return c.give(t);
  }
  if (const auto* value = c.attribute("value_float")) {
    Tensor t = allocate(kFloat, {});
    t.floats[0] = value->f();
    return c.give(t);
  }
  const auto* values = c.attribute("value_floats");
  if (!values) c.refuse("a constant without a value that is simulated");
  Tensor t = allocate(kFloat, {values->floats_size()});
  std::copy(values->floats().begin(), values->floats().end(), t.floats.get());
  c.give(t);
}

void constant_of_shape(OpCall& c) {
  const auto* value = c.attribute("value");
  const Tensor one = value ? tensor_of(value->t()) : Tensor{};
  Tensor& out = c.out(value ? one.type : kFloat, c.ints_of(0));
  const int64_t n = out.count();
  if (out.ints) std::fill_n(out.ints.get(), n, one.ints[0]);
  if (out.floats) std::fill_n(out.floats.get(), n, value ? one.floats[0] : 0.0f);
}

// Known before the run even where the data is not.
void shape(OpCall& c) { c.give(of_ints(kInt64, c.in(0).dims)); }

void size(OpCall& c) {
  Tensor t = of_ints(kInt64, {c.in(0).count()});
  t.dims = {};
  c.give(t);
}

void range(OpCall& c) {
  if (is_floating(c.in(0).type)) c.refuse("ranges of floating numbers are not simulated");
  const int64_t start = c.ints_of(0).at(0), limit = c.ints_of(1).at(0), step = c.ints_of(2).at(0);
  if (step == 0) c.refuse("steps of 0");
  std::vector<int64_t> values;
  for (int64_t v = start; step > 0 ? v < limit : v > limit; v += step) values.push_back(v);
  c.give(of_ints(c.in(0).type, values));
}

}  // namespace

void add_shape_ops(Ops& ops) {
  ops["Reshape"] = reshape;
  ops["Squeeze"] = squeeze;
  ops["Unsqueeze"] = unsqueeze;
  ops["Flatten"] = flatten;
  ops["Identity"] = [](OpCall& c) { c.give(c.in(0)); };
  ops["Dropout"] = ops["Identity"];
  ops["Constant"] = constant;
  ops["ConstantOfShape"] = constant_of_shape;
  ops["Shape"] = shape;
  ops["Size"] = size;
  ops["Range"] = range;
}

}  // namespace ascend_sim
