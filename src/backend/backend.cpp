#include "backend/backend.h"

#include <cstring>

#include "base/error.h"

namespace inkstone {

void Backend::copy(const Tensor& from, size_t from_byte, Tensor& to, size_t to_byte, size_t size) {
  INKSTONE_CHECK(!from.on_device() && !to.on_device(), "a tensor of another device copied");
  std::memcpy(to.data() + to_byte, from.data() + from_byte, size);
}

}  // namespace inkstone
