// A tensor that is not read where its file holds it, but from a copy that is made when it is first
// needed.
#pragma once

#include <memory>
#include <mutex>

#include "base/file.h"
#include "weights/weight_view.h"

namespace inkstone {

class CopiedWeight {
 public:
  // `stored` lies in `file`.
  CopiedWeight(WeightView stored, std::shared_ptr<const MappedFile> file);

  size_t bytes() const { return bytes_; }  // of the copy, also before it is made
  bool is_made() const;
  // The copy under a shape of as many elements, always the same one. The first call makes it;
  // throws Error if the machine has no memory for it. Several threads may call.
  const WeightView& view(const Shape& shape) const;

 private:
  WeightView stored_;
  std::shared_ptr<const MappedFile> file_;
  size_t bytes_;
  mutable std::mutex mutex_;  // of what follows
  mutable Memory memory_;
  mutable WeightView view_;
};

}  // namespace inkstone
