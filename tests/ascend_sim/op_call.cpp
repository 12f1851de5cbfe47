#include "op_call.h"

#include <algorithm>

namespace ascend_sim {

OpCall::OpCall(const onnx::NodeProto& node, int opset, std::vector<const Tensor*> inputs)
    : node_(node), opset_(opset), inputs_(std::move(inputs)) {
  known_ = std::ranges::all_of(inputs_, [](const Tensor* t) { return !t || t->known(); });
}

void OpCall::refuse(const std::string& why) const {
  std::string what = node_.op_type() + " " + node_.name() + ": " + why + " (inputs";
  for (const Tensor* t : inputs_) what += t ? " " + to_string(t->dims) : " -";
  throw OpError(what + ")");
}

const Tensor& OpCall::in(size_t i) const {
  if (!has(i)) refuse("input " + std::to_string(i) + " is missing");
  return *inputs_[i];
}

std::vector<int64_t> OpCall::ints_of(size_t i) const {
  const Tensor& t = in(i);
  if (is_floating(t.type)) refuse("input " + std::to_string(i) + " holds no whole numbers");
  if (!t.known()) refuse("input " + std::to_string(i) + " decides the shape and is not known before the run");
  return {t.ints.get(), t.ints.get() + t.count()};
}

Tensor& OpCall::out(int type, Shape dims) {
  for (const int64_t d : dims)
    if (d < 0) refuse("a result of shape " + to_string(dims));
  outputs_.push_back(known_ ? allocate(type, std::move(dims)) : shape_only(type, std::move(dims)));
  return outputs_.back();
}

const onnx::AttributeProto* OpCall::attribute(const char* name) const {
  for (const onnx::AttributeProto& a : node_.attribute())
    if (a.name() == name) return &a;
  return nullptr;
}

int64_t OpCall::integer(const char* name, int64_t otherwise) const {
  const auto* a = attribute(name);
  return a ? a->i() : otherwise;
}

float OpCall::number(const char* name, float otherwise) const {
  const auto* a = attribute(name);
  return a ? a->f() : otherwise;
}

std::string OpCall::text(const char* name, const std::string& otherwise) const {
  const auto* a = attribute(name);
  return a ? a->s() : otherwise;
}

std::vector<int64_t> OpCall::integers(const char* name, std::vector<int64_t> otherwise) const {
  const auto* a = attribute(name);
  return a ? std::vector<int64_t>(a->ints().begin(), a->ints().end()) : otherwise;
}

int64_t OpCall::axis(int64_t otherwise, int64_t rank) const {
  return from_front(integer("axis", otherwise), rank, *this);
}

int64_t from_front(int64_t axis, int64_t rank, const OpCall& call) {
  const int64_t front = axis < 0 ? axis + rank : axis;
  if (front < 0 || front >= std::max<int64_t>(1, rank))
    call.refuse("axis " + std::to_string(axis) + " of " + std::to_string(rank) + " axes");
  return front;
}

Shape broadcast(const Shape& a, const Shape& b, const OpCall& call) {
  Shape dims(std::max(a.size(), b.size()));
  for (size_t i = 0; i < dims.size(); ++i) {
    const int64_t x = i < a.size() ? a[a.size() - 1 - i] : 1, y = i < b.size() ? b[b.size() - 1 - i] : 1;
    if (x != y && x != 1 && y != 1) call.refuse("shapes that do not broadcast");
    dims[dims.size() - 1 - i] = x == 1 ? y : x;
  }
  return dims;
}

std::vector<int64_t> broadcast_strides(const Shape& from, const Shape& to) {
  std::vector<int64_t> strides(to.size(), 0);
  int64_t step = 1;
  for (size_t i = 0; i < from.size(); ++i) {
    const size_t f = from.size() - 1 - i, t = to.size() - 1 - i;
    strides[t] = from[f] == 1 ? 0 : step;
    step *= from[f];
  }
  return strides;
}

void for_rows(const Shape& dims, const std::vector<std::vector<int64_t>>& strides,
              const std::function<void(int64_t, const int64_t*)>& body) {
  const int64_t axes = static_cast<int64_t>(dims.size()), width = axes ? dims.back() : 1;
  const int64_t all = count(dims), rows = width ? all / width : 0;
#pragma omp parallel for if (all > 50000)
  for (int64_t row = 0; row < rows; ++row) {
    int64_t offsets[4] = {}, rest = row;
    for (int64_t axis = axes - 2; axis >= 0; --axis) {
      const int64_t at = rest % dims[axis];
      rest /= dims[axis];
      for (size_t i = 0; i < strides.size(); ++i) offsets[i] += at * strides[i][axis];
    }
    body(row, offsets);
  }
}

const Ops& all_ops() {
  static const Ops ops = [] {
    Ops all;
    add_math_ops(all);
    add_shape_ops(all);
    add_move_ops(all);
    add_product_ops(all);
    add_norm_ops(all);
    return all;
  }();
  return ops;
}

Tensor tensor_of(const onnx::TensorProto& p) {
  Shape dims(p.dims().begin(), p.dims().end());
  const int64_t n = count(dims);
  if (p.has_raw_data()) {
    if (p.raw_data().size() != static_cast<size_t>(n) * bytes_of(p.data_type()))
      throw OpError("tensor " + p.name() + ": " + std::to_string(p.raw_data().size()) + " bytes for " +
                    to_string(dims));
    return from_bytes(p.data_type(), dims, reinterpret_cast<const std::byte*>(p.raw_data().data()));
  }
  Tensor t = allocate(p.data_type(), dims);
  const auto take = [&](const auto& values, auto* to) {
    if (values.size() != n) throw OpError("tensor " + p.name() + ": numbers missing for " + to_string(dims));
    std::copy(values.begin(), values.end(), to);
  };
  switch (p.data_type()) {
    case kFloat: take(p.float_data(), t.floats.get()); break;
    case kDouble: take(p.double_data(), t.floats.get()); break;
    case kHalf:
      if (p.int32_data_size() != n) throw OpError("tensor " + p.name() + ": numbers missing");
      for (int64_t i = 0; i < n; ++i) t.floats[i] = from_half(static_cast<uint16_t>(p.int32_data(static_cast<int>(i))));
      t.half = true;
      break;
    case kInt64: take(p.int64_data(), t.ints.get()); break;
    case kUint64:
    case kUint32: take(p.uint64_data(), t.ints.get()); break;
    default: take(p.int32_data(), t.ints.get());
  }
  return t;
}

}  // namespace ascend_sim
