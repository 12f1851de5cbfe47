// See layout.h.
#include "backend/cpu/layout.h"

#include <numeric>

namespace inkstone::cpu {

Shape stored(const Shape& shape) {
  if (shape.size() != 4) return shape;
  return {shape[0], shape[2], shape[3], shape[1]};
}

int stored_axis(const Shape& shape, int axis) {
  constexpr int kPlace[] = {0, 3, 1, 2};
  return shape.size() == 4 ? kPlace[axis] : axis;
}

bool stored_row_major(const Shape& shape) { return shape.size() != 4 || shape[1] == 1 || shape[2] * shape[3] == 1; }

bool same_bytes(const Shape& from, const Shape& to) {
  if (stored_row_major(from) && stored_row_major(to)) return true;
  return from.size() == 4 && to.size() == 4 && from[0] == to[0] && from[1] == to[1];
}

Split split(const Shape& shape, int axis) {
  const Shape sizes = stored(shape);
  const auto at = sizes.begin() + stored_axis(shape, axis);
  const auto product = [](auto begin, auto end) {
    return std::accumulate(begin, end, int64_t{1}, std::multiplies<>());
  };
  return {product(sizes.begin(), at), *at, product(at + 1, sizes.end())};
}

}  // namespace inkstone::cpu
