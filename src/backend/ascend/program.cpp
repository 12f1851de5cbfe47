#include "backend/ascend/program.h"

#include <algorithm>

namespace inkstone::ascend {
namespace {

// The arena grows by at least this.
constexpr size_t kChunk = size_t{16} << 20;

}  // namespace

Shared::Shared(Library library, int index)
    : device(std::move(library), index),
      models(device, [this] { return arena.shrink(); }),
      arena([this](size_t bytes) { return device.run([&] { return models.reserve(bytes, "tensors"); }); },
            [this](std::byte* memory) { device.clean_up([&] { device.release(memory); }); }, kChunk),
      staging(device) {}

Shared::~Shared() = default;

std::byte* Shared::need_ports(size_t bytes) {
  if (bytes > port_bytes) {
    ports.reset();
    port_bytes = 0;
    ports = arena.take(bytes);
    port_bytes = bytes;
  }
  return ports.get();
}

AscendProgram::AscendProgram(Shared& shared, const std::filesystem::path& om, const GraphRecord& record,
                             const Gear& gear, const MemoryUse& memory)
    : shared_(shared),
      record_(record),
      gear_(gear),
      memory_(memory),
      input_slots_(record.inputs.size()),
      output_slots_(record.outputs.size()) {
  shared_.device.run([&] { model_ = &shared_.models.open(om, record); });
}

AscendProgram::~AscendProgram() {
  shared_.device.clean_up([this] {
    inputs_.reset();
    outputs_.reset();
    shared_.models.close(*model_);
  });
}

void AscendProgram::release_pages() {
  shared_.device.clean_up([this] { shared_.models.mark_idle(*model_); });
}

void AscendProgram::check(const Tensor& tensor, const Port& port, const Shape& shape) const {
  INKSTONE_CHECK(tensor.shape() == shape, record_.name, ": \"", port.name, "\" is ", to_string(shape), ", and ",
                 to_string(tensor.shape()), " was given");
  INKSTONE_CHECK(!tensor.on_device() || tensor.type() == port.type, record_.name, ": \"", port.name, "\" is ",
                 name_of(port.type), " on the device, and ", name_of(tensor.type()), " was given there");
  INKSTONE_CHECK(!tensor.on_device() || shared_.arena.owns(tensor.data()), record_.name, ": \"", port.name,
                 "\" lies on another device");
}

void AscendProgram::run(std::span<const Tensor* const> inputs, std::span<Tensor* const> outputs) {
  INKSTONE_CHECK(inputs.size() == record_.inputs.size() && outputs.size() == record_.outputs.size(), record_.name,
                 " takes ", record_.inputs.size(), " inputs and ", record_.outputs.size(), " outputs; ", inputs.size(),
                 " and ", outputs.size(), " were given");
  for (size_t i = 0; i < inputs.size(); ++i) check(*inputs[i], record_.inputs[i], gear_.inputs[i]);
  for (size_t i = 0; i < outputs.size(); ++i) check(*outputs[i], record_.outputs[i], gear_.outputs[i]);
  shared_.device.run([&] { run_here(inputs, outputs); });
  for (size_t i = 0; i < outputs.size(); ++i)
    if (!outputs[i]->on_device())
      convert_from(record_.outputs[i].type, output_slots_[i].staged, *outputs[i], record_.outputs[i].name);
}

void AscendProgram::run_here(std::span<const Tensor* const> inputs, std::span<Tensor* const> outputs) {
  const Device::About about(shared_.device, model_->path().string());
  shared_.models.load(*model_);
  if (!outputs_) {
    inputs_ = std::make_unique<Dataset>(shared_.device, model_->file_inputs());
    outputs_ = std::make_unique<Dataset>(shared_.device, outputs.size());
  }
  place(inputs, outputs);
  try {
    queue_inputs(inputs);
    model_->execute(*inputs_, *outputs_, gear_);
    queue_outputs(outputs);
  } catch (...) {
    // Queued work uses memory that the next run needs, so wait for it. Its errors matter less than
    // the one that failed.
    try {
      shared_.staging.synchronize();
    } catch (const AclError&) {
    }
    throw;
  }
  shared_.staging.synchronize();
}

// Gives every host tensor memory on the device and in staging. Memory may grow in the first run of
// this kind only.
void AscendProgram::place(std::span<const Tensor* const> inputs, std::span<Tensor* const> outputs) {
  size_t on_device = 0, staged = 0;
  const auto count_in = [&](const Tensor& tensor, const OmPort& port, size_t moved) {
    if (tensor.on_device()) return;
    on_device += slot_bytes(port.bytes);
    staged += Staging::rounded(moved);
  };
  for (size_t i = 0; i < inputs.size(); ++i)
    count_in(*inputs[i], model_->inputs()[i], port_bytes(record_.inputs[i], gear_.inputs[i]));
  for (size_t i = 0; i < outputs.size(); ++i)
    count_in(*outputs[i], model_->outputs()[i], port_bytes(record_.outputs[i], gear_.outputs[i]));
  if (model_->gear_input()) on_device += slot_bytes(model_->gear_input()->bytes);

  const bool unified = shared_.device.unified();
  std::byte* next = on_device ? shared_.need_ports(on_device) : nullptr;
  if (!unified) shared_.staging.prepare(staged);
  const auto give = [&](Slot& slot, Dataset& dataset, const Tensor& tensor, const OmPort& port, size_t moved) {
    // A file may require a few bytes more than the tensor has; the slot has room for them.
    if (tensor.on_device()) {
      const bool fits = slot_bytes(port.bytes) <= slot_bytes(tensor.bytes());
      return dataset.point(port.at, const_cast<std::byte*>(tensor.data()), fits ? port.bytes : tensor.bytes());
    }
    slot.device = std::exchange(next, next + slot_bytes(port.bytes));
    slot.staged = unified ? slot.device : shared_.staging.take(moved);
    dataset.point(port.at, slot.device, port.bytes);
  };
  for (size_t i = 0; i < inputs.size(); ++i)
    give(input_slots_[i], *inputs_, *inputs[i], model_->inputs()[i], port_bytes(record_.inputs[i], gear_.inputs[i]));
  for (size_t i = 0; i < outputs.size(); ++i)
    give(output_slots_[i], *outputs_, *outputs[i], model_->outputs()[i],
         port_bytes(record_.outputs[i], gear_.outputs[i]));
  if (const auto& gear = model_->gear_input()) inputs_->point(gear->at, next, gear->bytes);
}

void AscendProgram::queue_inputs(std::span<const Tensor* const> inputs) {
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (inputs[i]->on_device()) continue;
    const Slot& slot = input_slots_[i];
    convert_to(record_.inputs[i].type, *inputs[i], slot.staged, record_.inputs[i].name);
    if (slot.staged != slot.device)
      shared_.device.copy(slot.device, slot.staged, port_bytes(record_.inputs[i], gear_.inputs[i]), kHostToDevice);
  }
}

void AscendProgram::queue_outputs(std::span<Tensor* const> outputs) {
  for (size_t i = 0; i < outputs.size(); ++i) {
    const Slot& slot = output_slots_[i];
    if (!outputs[i]->on_device() && slot.staged != slot.device)
      shared_.device.copy(slot.staged, slot.device, port_bytes(record_.outputs[i], gear_.outputs[i]), kDeviceToHost);
  }
}

}  // namespace inkstone::ascend
