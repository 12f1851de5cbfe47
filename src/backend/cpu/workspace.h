// The memory that a backend's programs compute in. They run one at a time, so all of them use the
// same bytes from the same address; it grows to what the largest needs.
#pragma once

#include <cstddef>

namespace inkstone::cpu {

class Workspace {
 public:
  Workspace() = default;
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;
  ~Workspace();

  // at least so many, always at the same address; throws Error where the machine refuses
  std::byte* grow(size_t bytes);
  // its pages leave resident memory; what they held is lost
  void trim();

 private:
  std::byte* begin_ = nullptr;
  size_t reserved_ = 0, bytes_ = 0;
};

}  // namespace inkstone::cpu
