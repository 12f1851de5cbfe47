// What read_picture() and picture_size() throw.
#pragma once

#include "base/error.h"

namespace inkstone {

// Of a file that is no picture, or none that is read.
class PictureError : public UsageError {
 public:
  using UsageError::UsageError;
};

}  // namespace inkstone
