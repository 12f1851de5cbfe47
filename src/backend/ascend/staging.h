// Pinned host memory that asynchronous copies go through, and the conversions on the way: ports of
// a compiled file may be of another type than the graph's (int32 timesteps, fp16).
#pragma once

#include <span>

#include "backend/ascend/device.h"

namespace inkstone::ascend {

// Pieces one after another, each valid until the stream is synchronized. It grows in prepare()
// only. Only the device's owner thread may call it.
class Staging {
 public:
  explicit Staging(Device& device) : device_(device) {}
  ~Staging();
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;

  // Makes room for the next pieces together; waits for the device if older pieces are in the way.
  void prepare(size_t bytes);
  std::byte* take(size_t bytes);
  // Waits for the device; afterwards all pieces are free.
  void synchronize();
  size_t bytes() const { return size_; }

  static size_t rounded(size_t bytes);  // what a piece takes

 private:
  Device& device_;
  std::byte* begin_ = nullptr;
  size_t size_ = 0, taken_ = 0;
};

// Converts a tensor's elements to another type. Throws UsageError naming the port `name` if a
// number must be whole and is not, or is too large for fp16.
void convert_to(DType type, const Tensor& from, std::byte* to, const std::string& name);
void convert_from(DType type, const std::byte* from, Tensor& to, const std::string& name);

}  // namespace inkstone::ascend
