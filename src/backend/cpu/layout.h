// How values lie in memory: rank 4 [n, c, h, w] is stored channels-last as [n, h, w, c], every
// other rank row-major.
#pragma once

#include "base/tensor.h"

namespace inkstone::cpu {

// the sizes from the outermost to the innermost
Shape stored(const Shape& shape);
int stored_axis(const Shape& shape, int axis);        // where an axis stands in stored(shape)
bool stored_row_major(const Shape& shape);            // the same bytes as row-major
bool same_bytes(const Shape& from, const Shape& to);  // a row-major reshape moves nothing

struct Split {  // stored sizes around an axis
  int64_t outer, size, inner;
};
Split split(const Shape& shape, int axis);

}  // namespace inkstone::cpu
