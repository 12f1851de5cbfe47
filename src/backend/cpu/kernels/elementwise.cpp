// One instruction set's elementwise kernels. An element's bits do not depend on its position in a
// vector: tails use the same vector arithmetic.
#include "backend/cpu/kernels/activations.h"
#include "backend/cpu/kernels/variant.h"
#include "backend/cpu/kernels/whole_numbers.h"
#include "base/parallel.h"

namespace inkstone::kernels::INKSTONE_ISA {
namespace {

// elements; less is not worth another thread
constexpr int64_t kGrain = 16 << 10;
// pieces start at multiples of this, so that threads do not share cache lines
constexpr int64_t kStretch = 1 << 10;

// body(begin, end) over [0, count).
template <typename F>
void over_elements(int64_t count, const F& body) {
  parallel_for((count + kStretch - 1) / kStretch, kGrain / kStretch,
               [&](int64_t begin, int64_t end) { body(begin * kStretch, smaller_of(end * kStretch, count)); });
}

template <typename X, typename Out, typename F>
INKSTONE_INLINE void map(int64_t count, const X* x, Out* out, const F& f) {
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) store(out + i, f(load(x + i)));
  if (i < count) store_some(out + i, f(load_some(x + i, count - i)), count - i);
}

template <typename T, typename F>
INKSTONE_INLINE void map2(int64_t count, const T* a, const T* b, T* out, const F& f) {
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) store(out + i, f(load(a + i), load(b + i)));
  if (i < count) store_some(out + i, f(load_some(a + i, count - i), load_some(b + i, count - i)), count - i);
}

// f(T{}) with the type that `type` names.
template <typename F>
INKSTONE_INLINE void with_type(DType type, const F& f) {
  if (type == DType::kF32) {
    f(float{});
  } else {
    f(Bf16{});
  }
}

template <typename T>
T* at(void* base, int64_t index) {
  return static_cast<T*>(base) + index;
}
template <typename T>
const T* at(const void* base, int64_t index) {
  return static_cast<const T*>(base) + index;
}

template <typename F>
INKSTONE_INLINE void map_all(int64_t count, DType type, const void* x, void* out, const F& f) {
  with_type(type, [&](auto zero) {
    using T = decltype(zero);
    over_elements(count, [&](int64_t begin, int64_t end) { map(end - begin, at<T>(x, begin), at<T>(out, begin), f); });
  });
}

struct Operands {
  const void *a, *b;
  void* out;
};

template <typename F>
INKSTONE_INLINE void map2_all(int64_t count, DType type, const Operands& data, const F& f) {
  with_type(type, [&](auto zero) {
    using T = decltype(zero);
    over_elements(count, [&](int64_t begin, int64_t end) {
      map2(end - begin, at<T>(data.a, begin), at<T>(data.b, begin), at<T>(data.out, begin), f);
    });
  });
}

// One line of a broadcast. It is fast if each operand is dense or a single number.
template <typename T, typename F>
INKSTONE_INLINE void broadcast_line(const BroadcastShape& shape, const T* a, const T* b, T* out, const F& f) {
  const int64_t count = shape.sizes[3], step_a = shape.a[3], step_b = shape.b[3];
  if (step_a == 1 && step_b == 1) {
    map2(count, a, b, out, f);
  } else if (step_a == 1 && step_b == 0) {
    const Vec all = splat(value_of(*b));
    map(count, a, out, [&](Vec v) INKSTONE_INLINE_LAMBDA { return f(v, all); });
  } else if (step_a == 0 && step_b == 1) {
    const Vec all = splat(value_of(*a));
    map(count, b, out, [&](Vec v) INKSTONE_INLINE_LAMBDA { return f(all, v); });
  } else {
    for (int64_t i = 0; i < count; ++i) {
      put(out + i, f(splat(value_of(a[i * step_a])), splat(value_of(b[i * step_b])))[0]);
    }
  }
}

template <typename F>
INKSTONE_INLINE void broadcast(const BroadcastShape& shape, DType type, const Operands& data, const F& f) {
  const auto& sizes = shape.sizes;
  const auto offset = [&](const Sizes4& strides, int64_t line) {
    const int64_t i2 = line % sizes[2], i1 = line / sizes[2] % sizes[1], i0 = line / sizes[2] / sizes[1];
    return i0 * strides[0] + i1 * strides[1] + i2 * strides[2];
  };
  with_type(type, [&](auto zero) {
    using T = decltype(zero);
    parallel_for(sizes[0] * sizes[1] * sizes[2], kGrain / (sizes[3] + 1) + 1, [&](int64_t begin, int64_t end) {
      for (int64_t line = begin; line < end; ++line) {
        broadcast_line(shape, at<T>(data.a, offset(shape.a, line)), at<T>(data.b, offset(shape.b, line)),
                       at<T>(data.out, line * sizes[3]), f);
      }
    });
  });
}

constexpr int64_t kPixelBlock = 256;

template <bool kToPlanes, typename From, typename To>
void transpose(const Table::Planes& shape, const From* x, To* out) {
  const int64_t blocks = (shape.pixels + kPixelBlock - 1) / kPixelBlock;
  const int64_t grain = kGrain / (kPixelBlock * shape.channels) + 1;
  parallel_for(shape.rows * blocks, grain, [&](int64_t begin, int64_t end) {
    for (int64_t item = begin; item < end; ++item) {
      const int64_t row = item / blocks * shape.pixels * shape.channels, first = item % blocks * kPixelBlock;
      const int64_t last = smaller_of(first + kPixelBlock, shape.pixels);
      for (int64_t c = 0; c < shape.channels; ++c) {
        for (int64_t p = first; p < last; ++p) {
          const int64_t plane = row + c * shape.pixels + p, pixel = row + p * shape.channels + c;
          if constexpr (kToPlanes) {
            put(out + plane, value_of(x[pixel]));
          } else {
            put(out + pixel, value_of(x[plane]));
          }
        }
      }
    }
  });
}

template <bool kToPlanes>
void transpose_typed(const Table::Planes& shape, DType from, const void* x, DType to, void* out) {
  with_type(from, [&](auto from_zero) {
    with_type(to, [&](auto to_zero) {
      transpose<kToPlanes>(shape, at<decltype(from_zero)>(x, 0), at<decltype(to_zero)>(out, 0));
    });
  });
}

void cast_half(int64_t count, DType from, const void* x, DType to, void* out) {
  for (int64_t i = 0; i < count; ++i) {
    float value = 0;
    to_float(from, static_cast<const std::byte*>(x) + i * static_cast<int64_t>(size_of(from)), &value, 1);
    if (to == DType::kF32) {
      put(at<float>(out, i), value);
    } else if (to == DType::kBF16) {
      put(at<Bf16>(out, i), value);
    } else {
      *at<uint16_t>(out, i) = to_f16(value);
    }
  }
}

}  // namespace

void geglu(int64_t rows, int64_t width, DType type, const void* x, void* out) {
  with_type(type, [&](auto zero) {
    using T = decltype(zero);
    parallel_for(rows, kGrain / (4 * width) + 1, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        const T* from = at<T>(x, row * 2 * width);
        map2(width, from, from + width, at<T>(out, row * width),
             [](Vec value, Vec gate) INKSTONE_INLINE_LAMBDA { return value * gelu(gate); });
      }
    });
  });
}

void activate(Activation kind, int64_t count, DType type, const void* x, void* out) {
  if (kind == Activation::kNone) {
    if (x != out) std::memcpy(out, x, static_cast<size_t>(count) * size_of(type));
    return;
  }
  with_activation(kind, [&](auto f) { map_all(count, type, x, out, f); });
}

void add(int64_t count, DType type, const void* a, const void* b, void* out) {
  map2_all(count, type, {a, b, out}, [](Vec p, Vec q) INKSTONE_INLINE_LAMBDA { return p + q; });
}
void multiply(int64_t count, DType type, const void* a, const void* b, void* out) {
  map2_all(count, type, {a, b, out}, [](Vec p, Vec q) INKSTONE_INLINE_LAMBDA { return p * q; });
}
void add_broadcast(const BroadcastShape& shape, DType type, const void* a, const void* b, void* out) {
  broadcast(shape, type, {a, b, out}, [](Vec p, Vec q) INKSTONE_INLINE_LAMBDA { return p + q; });
}
void multiply_broadcast(const BroadcastShape& shape, DType type, const void* a, const void* b, void* out) {
  broadcast(shape, type, {a, b, out}, [](Vec p, Vec q) INKSTONE_INLINE_LAMBDA { return p * q; });
}

void cast(int64_t count, DType from, const void* x, DType to, void* out) {
  if (from == to) {
    if (x != out) std::memcpy(out, x, static_cast<size_t>(count) * size_of(from));
    return;
  }
  if (from == DType::kF16 || to == DType::kF16) return cast_half(count, from, x, to, out);
  with_type(from, [&](auto from_zero) {
    with_type(to, [&](auto to_zero) {
      using From = decltype(from_zero);
      using To = decltype(to_zero);
      over_elements(count, [&](int64_t begin, int64_t end) {
        map(end - begin, at<From>(x, begin), at<To>(out, begin), [](Vec v) INKSTONE_INLINE_LAMBDA { return v; });
      });
    });
  });
}

void to_channels_last(const Table::Planes& shape, DType from, const void* x, DType to, void* out) {
  transpose_typed<false>(shape, from, x, to, out);
}
void to_planes(const Table::Planes& shape, DType from, const void* x, DType to, void* out) {
  transpose_typed<true>(shape, from, x, to, out);
}

}  // namespace inkstone::kernels::INKSTONE_ISA
