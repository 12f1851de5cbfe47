#include "tensor.h"

#include <bit>
#include <cmath>
#include <cstring>

namespace ascend_sim {
namespace {

constexpr float kLargestHalf = 65504, kPastHalf = 65520;  // what rounds to more than 65504
constexpr float kSmallestNormal = 6.103515625e-05f;       // of fp16: 2^-14

template <class Stored, class Held>
void widen(const std::byte* bytes, Held* to, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    Stored value;
    std::memcpy(&value, bytes + i * sizeof(Stored), sizeof(Stored));
    to[i] = static_cast<Held>(value);
  }
}

template <class Stored, class Held>
void narrow(const Held* from, std::byte* bytes, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    const auto value = static_cast<Stored>(from[i]);
    std::memcpy(bytes + i * sizeof(Stored), &value, sizeof(Stored));
  }
}

}  // namespace

bool is_floating(int type) { return type == kFloat || type == kHalf || type == kDouble || type == kBfloat16; }

size_t bytes_of(int type) {
  switch (type) {
    case kBool:
    case kInt8:
    case kUint8: return 1;
    case kHalf:
    case kBfloat16:
    case kInt16:
    case kUint16: return 2;
    case kFloat:
    case kInt32:
    case kUint32: return 4;
    case kInt64:
    case kUint64:
    case kDouble: return 8;
    default: return 0;
  }
}

const char* type_name(int type) {
  switch (type) {
    case kFloat: return "DT_FLOAT";
    case kHalf: return "DT_FLOAT16";
    case kBfloat16: return "DT_BF16";
    case kDouble: return "DT_DOUBLE";
    case kInt8: return "DT_INT8";
    case kUint8: return "DT_UINT8";
    case kInt16: return "DT_INT16";
    case kUint16: return "DT_UINT16";
    case kInt32: return "DT_INT32";
    case kUint32: return "DT_UINT32";
    case kInt64: return "DT_INT64";
    case kUint64: return "DT_UINT64";
    case kBool: return "DT_BOOL";
    default: return "DT_UNDEFINED";
  }
}

int64_t count(const Shape& dims) {
  int64_t n = 1;
  for (const int64_t d : dims) n *= d;
  return n;
}

std::string to_string(const Shape& dims) {
  std::string text = "[";
  for (size_t i = 0; i < dims.size(); ++i) text += (i ? "," : "") + std::to_string(dims[i]);
  return text + "]";
}

Tensor shape_only(int type, Shape dims) {
  Tensor tensor;
  tensor.type = type;
  tensor.dims = std::move(dims);
  return tensor;
}

Tensor allocate(int type, Shape dims) {
  if (!bytes_of(type)) throw OpError("elements of ONNX type " + std::to_string(type) + " are not simulated");
  Tensor tensor = shape_only(type, std::move(dims));
  const auto n = static_cast<size_t>(std::max<int64_t>(1, tensor.count()));
  if (is_floating(type))
    tensor.floats = std::make_shared_for_overwrite<float[]>(n);
  else
    tensor.ints = std::make_shared_for_overwrite<int64_t[]>(n);
  return tensor;
}

Tensor of_ints(int type, const std::vector<int64_t>& values) {
  Tensor tensor = allocate(type, {static_cast<int64_t>(values.size())});
  std::copy(values.begin(), values.end(), tensor.ints.get());
  return tensor;
}

Tensor from_bytes(int type, Shape dims, const std::byte* bytes) {
  Tensor t = allocate(type, std::move(dims));
  const int64_t n = t.count();
  float* f = t.floats.get();
  int64_t* i = t.ints.get();
  switch (type) {
    case kFloat: std::memcpy(f, bytes, static_cast<size_t>(n) * sizeof(float)); break;
    case kHalf:
      t.half = true;
      for (int64_t at = 0; at < n; ++at) {
        uint16_t bits;
        std::memcpy(&bits, bytes + 2 * at, 2);
        f[at] = from_half(bits);
      }
      break;
    case kBfloat16:
      for (int64_t at = 0; at < n; ++at) {
        uint16_t bits;
        std::memcpy(&bits, bytes + 2 * at, 2);
        f[at] = std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
      }
      break;
    case kDouble: widen<double>(bytes, f, n); break;
    case kInt8: widen<int8_t>(bytes, i, n); break;
    case kBool:
    case kUint8: widen<uint8_t>(bytes, i, n); break;
    case kInt16: widen<int16_t>(bytes, i, n); break;
    case kUint16: widen<uint16_t>(bytes, i, n); break;
    case kInt32: widen<int32_t>(bytes, i, n); break;
    case kUint32: widen<uint32_t>(bytes, i, n); break;
    case kUint64:
    case kInt64: widen<int64_t>(bytes, i, n); break;
    default: break;
  }
  return t;
}

void to_bytes(const Tensor& t, std::byte* bytes) {
  const int64_t n = t.count();
  const float* f = t.floats.get();
  const int64_t* i = t.ints.get();
  switch (t.type) {
    case kFloat: std::memcpy(bytes, f, static_cast<size_t>(n) * sizeof(float)); break;
    case kHalf:
      for (int64_t at = 0; at < n; ++at) {
        const uint16_t bits = to_half(f[at]);
        std::memcpy(bytes + 2 * at, &bits, 2);
      }
      break;
    case kDouble: narrow<double>(f, bytes, n); break;
    case kBool:
    case kInt8:
    case kUint8: narrow<uint8_t>(i, bytes, n); break;
    case kInt16:
    case kUint16: narrow<uint16_t>(i, bytes, n); break;
    case kInt32:
    case kUint32: narrow<uint32_t>(i, bytes, n); break;
    case kInt64:
    case kUint64: narrow<int64_t>(i, bytes, n); break;
    default: throw OpError("elements of ONNX type " + std::to_string(t.type) + " are not simulated");
  }
}

float round_half(float x, bool saturate) {
  const float size = std::fabs(x);
  const auto bits = std::bit_cast<uint32_t>(size);
  const auto normal = std::bit_cast<float>((bits + 0xFFFu + ((bits >> 13) & 1u)) & ~0x1FFFu);
  float result = size < kSmallestNormal ? (size + 0.5f) - 0.5f : normal;
  const float past = saturate ? kLargestHalf : INFINITY;
  result = size >= kPastHalf ? past : result;
  result = size != size ? (saturate ? kLargestHalf : size) : result;
  return std::copysign(result, x);
}

void round_halves(const float* from, float* to, int64_t n, bool saturate) {
#pragma omp parallel for simd if (n > 100000)
  for (int64_t i = 0; i < n; ++i) to[i] = round_half(from[i], saturate);
}

Tensor rounded(const Tensor& tensor, bool saturate) {
  if (tensor.half || !is_floating(tensor.type) || !tensor.known()) return tensor;
  Tensor result = allocate(tensor.type, tensor.dims);
  round_halves(tensor.floats.get(), result.floats.get(), tensor.count(), saturate);
  result.half = true;
  return result;
}

uint16_t to_half(float x) {
  const uint32_t sign = (std::bit_cast<uint32_t>(x) >> 16) & 0x8000u;
  const float size = std::fabs(x);
  if (size != size) return static_cast<uint16_t>(sign | 0x7E00u);
  if (size >= kPastHalf) return static_cast<uint16_t>(sign | 0x7C00u);
  if (size < kSmallestNormal)
    return static_cast<uint16_t>(sign | static_cast<uint32_t>(std::nearbyint(size * 16777216.0f)));
  uint32_t bits = std::bit_cast<uint32_t>(size);
  bits += 0xFFFu + ((bits >> 13) & 1u);
  return static_cast<uint16_t>(sign | ((bits >> 13) - (112u << 10)));
}

float from_half(uint16_t half) {
  const uint32_t sign = (half & 0x8000u) << 16, rest = half & 0x7FFFu;
  const float scaled = std::bit_cast<float>(rest << 13) * 0x1p112f;  // right for subnormal ones too
  const uint32_t special = (rest << 13) | 0x7F800000u;               // infinite, or not a number
  const uint32_t bits = rest >= 0x7C00u ? special : std::bit_cast<uint32_t>(scaled);
  return std::bit_cast<float>(sign | bits);
}

}  // namespace ascend_sim
