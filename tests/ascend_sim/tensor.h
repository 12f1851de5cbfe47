// The simulator's values: floating numbers are held as float and whole numbers as int64, whatever
// the type in the file; a half is a float that fp16 can hold. A tensor without data is a shape
// alone: what `atc` computes with.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace ascend_sim {

using Shape = std::vector<int64_t>;

enum Type : int {  // ONNX's numbers
  kFloat = 1,
  kUint8 = 2,
  kInt8 = 3,
  kUint16 = 4,
  kInt16 = 5,
  kInt32 = 6,
  kInt64 = 7,
  kBool = 9,
  kHalf = 10,
  kDouble = 11,
  kUint32 = 12,
  kUint64 = 13,
  kBfloat16 = 16,
};

struct OpError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

bool is_floating(int type);
// of one element; 0: a type that is not simulated
size_t bytes_of(int type);
const char* type_name(int type);
int64_t count(const Shape& dims);
std::string to_string(const Shape& dims);

struct Tensor {
  int type = kFloat;
  Shape dims;
  std::shared_ptr<float[]> floats;  // of a floating type
  std::shared_ptr<int64_t[]> ints;  // of the others
  // every value is one that fp16 holds
  bool half = false;

  int64_t count() const { return ascend_sim::count(dims); }
  size_t bytes() const { return static_cast<size_t>(count()) * bytes_of(type); }
  bool known() const { return floats || ints; }
  int64_t rank() const { return static_cast<int64_t>(dims.size()); }

  template <class T>
  T* data() const;  // float or int64_t
};

template <>
inline float* Tensor::data<float>() const {
  return floats.get();
}
template <>
inline int64_t* Tensor::data<int64_t>() const {
  return ints.get();
}

Tensor shape_only(int type, Shape dims);
Tensor allocate(int type, Shape dims);  // with data, not set
Tensor of_ints(int type, const std::vector<int64_t>& values);

// To and from the bytes of the type as files and devices hold them.
Tensor from_bytes(int type, Shape dims, const std::byte* bytes);
void to_bytes(const Tensor& tensor, std::byte* bytes);

// What fp16 arithmetic leaves of x: too large a value becomes infinite or, where `saturate`, 65504.
float round_half(float x, bool saturate);
void round_halves(const float* from, float* to, int64_t n, bool saturate);
Tensor rounded(const Tensor& tensor, bool saturate);
uint16_t to_half(float x);  // of any float, to nearest even
float from_half(uint16_t bits);

}  // namespace ascend_sim
