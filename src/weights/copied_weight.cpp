#include "weights/copied_weight.h"

#include <utility>

namespace inkstone {

CopiedWeight::CopiedWeight(WeightView stored, std::shared_ptr<const MappedFile> file)
    : stored_(std::move(stored)), file_(std::move(file)), bytes_(inkstone::bytes(stored_.shape, stored_.type)) {}

bool CopiedWeight::is_made() const {
  const std::lock_guard lock(mutex_);
  return memory_ != nullptr;
}

const WeightView& CopiedWeight::view(const Shape& shape) const {
  constexpr size_t kAlignment = 64;
  const std::lock_guard lock(mutex_);
  if (!memory_) {
    memory_ = allocate_aligned(bytes_, kAlignment);
    copy_elements(stored_, memory_.get());
    view_ = {stored_.name, stored_.shape, stored_.type, {memory_.get(), bytes_}};
    file_->release(static_cast<size_t>(stored_.bytes.data() - file_->bytes().data()), stored_.bytes.size());
  }
  if (view_.shape != shape) view_.shape = shape;
  return view_;
}

}  // namespace inkstone
