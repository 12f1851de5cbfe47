// The memory that a backend's programs compute in. They run one at a time, so all of them use the
// same memory at the same address. It grows to the size that the largest needs.
#pragma once

#include <cstddef>

namespace inkstone::cpu {

class Workspace {
 public:
  Workspace() = default;
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;
  ~Workspace();

  // At least `bytes`, always at the same address. Throws Error if the machine refuses.
  std::byte* grow(size_t bytes);
  // Its pages leave resident memory; their contents are lost.
  void trim();

 private:
  std::byte* begin_ = nullptr;
  size_t reserved_ = 0, bytes_ = 0;
};

}  // namespace inkstone::cpu
