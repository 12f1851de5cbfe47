// Element by element: arithmetic with broadcasting, functions, comparisons, casts.
#include <algorithm>
#include <cmath>

#include "op_call.h"

namespace ascend_sim {
namespace {

template <class From, class To, class F>
void pairwise(const Tensor& a, const Tensor& b, Tensor& out, F f) {
  const From *x = a.data<From>(), *y = b.data<From>();
  To* to = out.data<To>();
  const int64_t n = out.count(), width = out.dims.empty() ? 1 : out.dims.back();
  if (a.count() == n && b.count() == n) {
#pragma omp parallel for simd if (n > 100000)
    for (int64_t i = 0; i < n; ++i) to[i] = f(x[i], y[i]);
    return;
  }
  const std::vector<std::vector<int64_t>> strides{broadcast_strides(a.dims, out.dims),
                                                  broadcast_strides(b.dims, out.dims)};
  const int64_t sx = strides[0].empty() ? 0 : strides[0].back(), sy = strides[1].empty() ? 0 : strides[1].back();
  for_rows(out.dims, strides, [&](int64_t row, const int64_t* at) {
    const From *p = x + at[0], *q = y + at[1];
    To* r = to + row * width;
    if (sx && sy)
      for (int64_t i = 0; i < width; ++i) r[i] = f(p[i], q[i]);
    else if (sx)
      for (int64_t i = 0; i < width; ++i) r[i] = f(p[i], *q);
    else if (sy)
      for (int64_t i = 0; i < width; ++i) r[i] = f(*p, q[i]);
    else
      std::fill_n(r, width, f(*p, *q));
  });
}

void same_types(const OpCall& c, size_t a = 0, size_t b = 1) {
  if (c.in(a).type != c.in(b).type)
    c.refuse(std::string("dtype is not same, type1:") + type_name(c.in(a).type) + ", type2:" + type_name(c.in(b).type));
}

template <class F>
Op arithmetic(F f) {
  return [f](OpCall& c) {
    same_types(c);
    Tensor& out = c.out(c.in(0).type, broadcast(c.in(0).dims, c.in(1).dims, c));
    if (!c.known()) return;
    if (is_floating(out.type))
      pairwise<float, float>(c.in(0), c.in(1), out, f);
    else
      pairwise<int64_t, int64_t>(c.in(0), c.in(1), out, f);
  };
}

template <class F>
Op comparison(F f) {
  return [f](OpCall& c) {
    same_types(c);
    Tensor& out = c.out(kBool, broadcast(c.in(0).dims, c.in(1).dims, c));
    if (!c.known()) return;
    if (is_floating(c.in(0).type))
      pairwise<float, int64_t>(c.in(0), c.in(1), out, f);
    else
      pairwise<int64_t, int64_t>(c.in(0), c.in(1), out, f);
  };
}

template <class F>
Op function(F f) {
  return [f](OpCall& c) {
    const Tensor& x = c.in(0);
    Tensor& out = c.out(x.type, x.dims);
    if (!c.known()) return;
    const int64_t n = x.count();
    if (is_floating(x.type)) {
      const float* from = x.floats.get();
      float* to = out.floats.get();
#pragma omp parallel for if (n > 20000)
      for (int64_t i = 0; i < n; ++i) to[i] = static_cast<float>(f(from[i]));
    } else {
      for (int64_t i = 0; i < n; ++i) out.ints[i] = static_cast<int64_t>(f(x.ints[i]));
    }
  };
}

template <class F>
Op of_floats(F f) {
  return [whole = function([f](auto x) { return f(static_cast<float>(x)); })](OpCall& c) {
    if (!is_floating(c.in(0).type)) c.refuse(std::string("takes floating numbers, not ") + type_name(c.in(0).type));
    whole(c);
  };
}

void where(OpCall& c) {
  same_types(c, 1, 2);
  if (c.in(0).type != kBool) c.refuse("a condition that is not BOOL");
  const Shape dims = broadcast(broadcast(c.in(0).dims, c.in(1).dims, c), c.in(2).dims, c);
  Tensor& out = c.out(c.in(1).type, dims);
  if (!c.known()) return;
  const std::vector<std::vector<int64_t>> strides{broadcast_strides(c.in(0).dims, dims),
                                                  broadcast_strides(c.in(1).dims, dims),
                                                  broadcast_strides(c.in(2).dims, dims)};
  const int64_t width = dims.empty() ? 1 : dims.back();
  const auto step = [&](size_t i) { return strides[i].empty() ? 0 : strides[i].back(); };
  const auto pick = [&](auto* to, const auto* yes, const auto* no) {
    for_rows(dims, strides, [&](int64_t row, const int64_t* at) {
      for (int64_t i = 0; i < width; ++i)
        to[row * width + i] = c.in(0).ints[at[0] + i * step(0)] ? yes[at[1] + i * step(1)] : no[at[2] + i * step(2)];
    });
  };
  if (is_floating(out.type))
    pick(out.floats.get(), c.in(1).floats.get(), c.in(2).floats.get());
  else
    pick(out.ints.get(), c.in(1).ints.get(), c.in(2).ints.get());
}

void leaky_relu(OpCall& c) {
  const float slope = c.number("alpha", 0.01f);
  of_floats([slope](float x) { return x < 0 ? slope * x : x; })(c);
}

void clip(OpCall& c) {
  const Tensor& x = c.in(0);
  Tensor& out = c.out(x.type, x.dims);
  if (!c.known()) return;
  const auto limit = [&](const auto* from, auto* to, auto low, auto high) {
    for (int64_t i = 0; i < x.count(); ++i) to[i] = std::min(std::max(from[i], low), high);
  };
  if (is_floating(x.type))
    limit(x.floats.get(), out.floats.get(), c.has(1) ? c.in(1).floats[0] : -INFINITY,
          c.has(2) ? c.in(2).floats[0] : INFINITY);
  else
    limit(x.ints.get(), out.ints.get(), c.has(1) ? c.in(1).ints[0] : INT64_MIN, c.has(2) ? c.in(2).ints[0] : INT64_MAX);
}

int64_t wrapped(int64_t value, int type) {
  switch (type) {
    case kInt32: return static_cast<int32_t>(value);
    case kUint32: return static_cast<uint32_t>(value);
    case kInt16: return static_cast<int16_t>(value);
    case kUint16: return static_cast<uint16_t>(value);
    case kInt8: return static_cast<int8_t>(value);
    case kUint8: return static_cast<uint8_t>(value);
    case kBool: return value != 0;
    default: return value;
  }
}

void cast(OpCall& c) {
  const Tensor& x = c.in(0);
  const int to = static_cast<int>(c.integer("to", 0));
  if (!bytes_of(to)) c.refuse("casts to ONNX type " + std::to_string(to));
  Tensor& out = c.out(to, x.dims);
  if (!c.known()) return;
  const int64_t n = x.count();
  const bool from_floats = is_floating(x.type);
  for (int64_t i = 0; i < n; ++i) {
    if (is_floating(to))
      out.floats[i] = from_floats ? x.floats[i] : static_cast<float>(x.ints[i]);
    else if (to == kBool)
      out.ints[i] = from_floats ? x.floats[i] != 0 : x.ints[i] != 0;
    else
      out.ints[i] = wrapped(from_floats ? static_cast<int64_t>(x.floats[i]) : x.ints[i], to);
  }
}

void power(OpCall& c) {
  const Tensor &x = c.in(0), &y = c.in(1);
  if (!is_floating(x.type) || !is_floating(y.type)) c.refuse("powers of whole numbers are not simulated");
  Tensor& out = c.out(x.type, broadcast(x.dims, y.dims, c));
  if (!c.known()) return;
  if (y.count() == 1 && y.floats[0] == 2)
    pairwise<float, float>(x, y, out, [](float a, float) { return a * a; });
  else
    pairwise<float, float>(x, y, out, [](float a, float b) { return std::pow(a, b); });
}

void divide(OpCall& c) {
  if (c.known() && !is_floating(c.in(1).type))
    for (int64_t i = 0; i < c.in(1).count(); ++i)
      if (!c.in(1).ints[i]) c.refuse("divides by zero");
  arithmetic([](auto a, auto b) { return a / b; })(c);
}

}  // namespace

void add_math_ops(Ops& ops) {
  ops["Add"] = arithmetic([](auto a, auto b) { return a + b; });
  ops["Sub"] = arithmetic([](auto a, auto b) { return a - b; });
  ops["Mul"] = arithmetic([](auto a, auto b) { return a * b; });
  ops["Div"] = divide;
  ops["Max"] = arithmetic([](auto a, auto b) { return std::max(a, b); });
  ops["Min"] = arithmetic([](auto a, auto b) { return std::min(a, b); });
  ops["And"] = comparison([](auto a, auto b) { return int64_t{a && b}; });
  ops["Or"] = comparison([](auto a, auto b) { return int64_t{a || b}; });
  ops["Equal"] = comparison([](auto a, auto b) { return int64_t{a == b}; });
  ops["Less"] = comparison([](auto a, auto b) { return int64_t{a < b}; });
  ops["LessOrEqual"] = comparison([](auto a, auto b) { return int64_t{a <= b}; });
  ops["Greater"] = comparison([](auto a, auto b) { return int64_t{a > b}; });
  ops["GreaterOrEqual"] = comparison([](auto a, auto b) { return int64_t{a >= b}; });
  ops["Not"] = function([](auto x) { return !x; });
  ops["Neg"] = function([](auto x) { return -x; });
  ops["Abs"] = function([](auto x) { return x < 0 ? -x : x; });
  ops["Relu"] = function([](auto x) { return x < 0 ? decltype(x)(0) : x; });
  ops["LeakyRelu"] = leaky_relu;
  ops["Erf"] = of_floats([](float x) { return std::erf(x); });
  ops["Sigmoid"] = of_floats([](float x) { return 1 / (1 + std::exp(-x)); });
  ops["Tanh"] = of_floats([](float x) { return std::tanh(x); });
  ops["Exp"] = of_floats([](float x) { return std::exp(x); });
  ops["Log"] = of_floats([](float x) { return std::log(x); });
  ops["Sqrt"] = of_floats([](float x) { return std::sqrt(x); });
  ops["Reciprocal"] = of_floats([](float x) { return 1 / x; });
  ops["Sin"] = of_floats([](float x) { return std::sin(x); });
  ops["Cos"] = of_floats([](float x) { return std::cos(x); });
  ops["Floor"] = of_floats([](float x) { return std::floor(x); });
  ops["Ceil"] = of_floats([](float x) { return std::ceil(x); });
  ops["Pow"] = power;
  ops["Where"] = where;
  ops["Clip"] = clip;
  ops["Cast"] = cast;
}

}  // namespace ascend_sim
