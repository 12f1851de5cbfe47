// One gear of a compiled file as a program. It reads and writes tensors of the device in place;
// tensors of the host pass through pinned staging, with one copy each.
#pragma once

#include <memory>

#include "backend/ascend/arena.h"
#include "backend/ascend/residency.h"
#include "backend/ascend/staging.h"
#include "backend/backend.h"

namespace inkstone::ascend {

// What all programs of a backend use. They run one at a time.
struct Shared {
  explicit Shared(Library library, int index);
  ~Shared();

  Device device;
  Residency models;
  Arena arena;
  Staging staging;
  // Device memory for host tensors during a run.
  Memory ports;
  size_t port_bytes = 0;

  std::byte* need_ports(size_t bytes);  // on the owner thread
};

class AscendProgram : public Program {
 public:
  AscendProgram(Shared& shared, const std::filesystem::path& om, const GraphRecord& record, const Gear& gear,
                const MemoryUse& memory);
  ~AscendProgram() override;
  void run(std::span<const Tensor* const> inputs, std::span<Tensor* const> outputs) override;
  MemoryUse memory() const override { return memory_; }
  void release_pages() override;

 private:
  struct Slot {  // of a tensor on the host
    std::byte* device = nullptr;
    // The same as `device` if host and device share memory.
    std::byte* staged = nullptr;
  };
  void check(const Tensor& tensor, const Port& port, const Shape& shape) const;
  void run_here(std::span<const Tensor* const> inputs, std::span<Tensor* const> outputs);
  void place(std::span<const Tensor* const> inputs, std::span<Tensor* const> outputs);
  void queue_inputs(std::span<const Tensor* const> inputs);
  void queue_outputs(std::span<Tensor* const> outputs);
  size_t port_bytes(const Port& port, const Shape& shape) const { return bytes(shape, port.type); }

  Shared& shared_;
  const GraphRecord& record_;
  const Gear& gear_;
  MemoryUse memory_;
  OmModel* model_ = nullptr;
  std::unique_ptr<Dataset> inputs_, outputs_;
  std::vector<Slot> input_slots_, output_slots_;
};

}  // namespace inkstone::ascend
