// Pinned host memory that asynchronous copies go through, and the conversions on the way: ports of
// a compiled file may be of another type than the graph's (int32 timesteps, fp16).
#pragma once

#include <span>

#include "backend/ascend/device.h"

namespace inkstone::ascend {

// Pieces in a row, each good until the stream has been synchronized; grows before use, not while it
// is used. Its device's owner thread alone calls it.
class Staging {
 public:
  explicit Staging(Device& device) : device_(device) {}
  ~Staging();
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;

  // the next pieces, in all; waits for the device where older ones are in the way
  void prepare(size_t bytes);
  std::byte* take(size_t bytes);
  // waits for the device: all pieces are done with
  void synchronize();
  size_t bytes() const { return size_; }

  static size_t rounded(size_t bytes);  // what a piece takes

 private:
  Device& device_;
  std::byte* begin_ = nullptr;
  size_t size_ = 0, taken_ = 0;
};

// A tensor's elements as another type. UsageError where a number is not whole and must be, or too
// large for fp16; `name` is the port's.
void convert_to(DType type, const Tensor& from, std::byte* to, const std::string& name);
void convert_from(DType type, const std::byte* from, Tensor& to, const std::string& name);

}  // namespace inkstone::ascend
