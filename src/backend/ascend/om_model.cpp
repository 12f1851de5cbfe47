#include "backend/ascend/om_model.h"

#include <algorithm>
#include <cstring>

namespace inkstone::ascend {
namespace {

int acl_type(DType type) {
  switch (type) {
    case DType::kF32: return kAclFloat;
    case DType::kF16: return kAclFloat16;
    case DType::kBF16: return kAclBFloat16;
    case DType::kI32: return kAclInt32;
  }
  return -1;
}

Shape shape_of(const Dims& dims) { return Shape(dims.sizes, dims.sizes + std::min(dims.count, std::size(dims.sizes))); }

// The greatest of the gears.
size_t max_bytes(const GraphRecord& record, size_t port, bool input) {
  size_t largest = 0;
  for (const Gear& gear : record.gears)
    largest = std::max(largest, bytes((input ? gear.inputs : gear.outputs)[port],
                                      (input ? record.inputs : record.outputs)[port].type));
  return largest;
}

}  // namespace

Dataset::Dataset(Device& device, size_t buffers) : device_(device) {
  try {
    dataset_ = device_.api().aclmdlCreateDataset();
    if (!dataset_) device_.refuse("nothing was made", "aclmdlCreateDataset", INKSTONE_HERE);
    buffers_.reserve(buffers);
    for (size_t i = 0; i < buffers; ++i) {
      buffers_.push_back(device_.api().aclCreateDataBuffer(nullptr, 0));
      if (!buffers_.back()) device_.refuse("nothing was made", "aclCreateDataBuffer", INKSTONE_HERE);
      INKSTONE_ACL(device_, aclmdlAddDatasetBuffer, dataset_, buffers_.back());
    }
  } catch (...) {
    destroy();
    throw;
  }
}

Dataset::~Dataset() {
  device_.clean_up([this] { destroy(); });
}

void Dataset::destroy() noexcept {
  if (dataset_) device_.api().aclmdlDestroyDataset(dataset_);
  for (const Opaque buffer : buffers_)
    if (buffer) device_.api().aclDestroyDataBuffer(buffer);
}

void Dataset::point(size_t at, std::byte* memory, size_t bytes) {
  INKSTONE_ACL(device_, aclUpdateDataBuffer, buffers_.at(at), memory, bytes);
}

OmModel::OmModel(Device& device, std::filesystem::path path, const GraphRecord& record)
    : device_(device), path_(std::move(path)), record_(record) {
  const Device::About about(device_, path_.string());
  INKSTONE_ACL(device_, aclmdlQuerySize, path_.c_str(), &work_bytes_, &weight_bytes_);
}

OmModel::~OmModel() {
  device_.clean_up([this] { unload(); });
}

void OmModel::load(std::byte* work, size_t work_bytes) {
  if (loaded_) return;
  const Device::About about(device_, path_.string());
  if (weight_bytes_ && !weights_) weights_ = device_.reserve(weight_bytes_);
  try {
    INKSTONE_ACL(device_, aclmdlLoadFromFileWithMem, path_.c_str(), &id_, work, work_bytes, weights_, weight_bytes_);
    loaded_ = true;
    ++device_.counters().loads;
    read_ports();
  } catch (...) {
    unload();
    throw;
  }
}

void OmModel::unload() noexcept {
  if (std::exchange(loaded_, false)) {
    device_.api().aclmdlUnload(id_);
    ++device_.counters().unloads;
  }
  device_.release(std::exchange(weights_, nullptr));
}

void OmModel::read_ports() {
  const Opaque desc = device_.api().aclmdlCreateDesc();
  if (!desc) device_.refuse("nothing was made", "aclmdlCreateDesc", INKSTONE_HERE);
  try {
    INKSTONE_ACL(device_, aclmdlGetDesc, desc, id_);
    read_ports(desc);
  } catch (...) {
    device_.api().aclmdlDestroyDesc(desc);
    throw;
  }
  device_.api().aclmdlDestroyDesc(desc);
}

void OmModel::read_ports(Opaque desc) {
  const Api& api = device_.api();
  const size_t inputs = record_.inputs.size() + (geared() ? 1 : 0);
  INKSTONE_CHECK(api.aclmdlGetNumInputs(desc) == inputs && api.aclmdlGetNumOutputs(desc) == record_.outputs.size(),
                 path_.string(), " has ", api.aclmdlGetNumInputs(desc), " inputs and ", api.aclmdlGetNumOutputs(desc),
                 " outputs, and ", inputs, " and ", record_.outputs.size(), " by the manifest: export the model again");
  inputs_.clear();
  outputs_.clear();
  Dims dims;
  for (size_t i = 0; i < record_.inputs.size(); ++i) {
    const size_t at = find_input(desc, record_.inputs[i].name), size = api.aclmdlGetInputSizeByIndex(desc, at);
    INKSTONE_ACL(device_, aclmdlGetInputDims, desc, at, &dims);
    check_port(record_.inputs[i], dims, api.aclmdlGetInputDataType(desc, at), size, true);
    INKSTONE_CHECK(size >= max_bytes(record_, i, true), path_.string(), ": \"", record_.inputs[i].name, "\" has ", size,
                   " bytes, and ", max_bytes(record_, i, true), " by the manifest");
    inputs_.push_back({at, size});
  }
  for (size_t i = 0; i < record_.outputs.size(); ++i) {
    const size_t at = find_output(desc, i), size = api.aclmdlGetOutputSizeByIndex(desc, at);
    INKSTONE_ACL(device_, aclmdlGetOutputDims, desc, at, &dims);
    check_port(record_.outputs[i], dims, api.aclmdlGetOutputDataType(desc, at), size, !geared());
    INKSTONE_CHECK(size >= max_bytes(record_, i, false), path_.string(), ": \"", record_.outputs[i].name, "\" has ",
                   size, " bytes, and ", max_bytes(record_, i, false), " by the manifest");
    outputs_.push_back({at, size});
  }
  gear_input_.reset();
  if (!geared()) return;
  const size_t at = find_input(desc, kGearInput);
  gear_input_ = OmPort{at, api.aclmdlGetInputSizeByIndex(desc, at)};
}

size_t OmModel::find_input(Opaque desc, const std::string& name) const {
  const Api& api = device_.api();
  for (size_t at = 0; at < api.aclmdlGetNumInputs(desc); ++at) {
    const char* found = api.aclmdlGetInputNameByIndex(desc, at);
    if (found && name == found) return at;
  }
  fail(INKSTONE_HERE,
       {path_.string(), " has no input \"", name, "\", which the manifest names: export the model again"});
}

// ATC calls an output "NODE:0:NAME", or "NODE:0" if it has dropped the name. Then the output is
// known by its position.
size_t OmModel::find_output(Opaque desc, size_t index) const {
  const std::string& name = record_.outputs[index].name;
  for (size_t at = 0; at < device_.api().aclmdlGetNumOutputs(desc); ++at) {
    const char* text = device_.api().aclmdlGetOutputNameByIndex(desc, at);
    const std::string found = text ? text : "";
    if (found == name || found.ends_with(":" + name)) return at;
  }
  return index;
}

void OmModel::check_port(const Port& port, const Dims& dims, int type, size_t size, bool exact) const {
  const Shape shape = shape_of(dims);
  INKSTONE_CHECK(!exact || shape == port.shape, path_.string(), ": \"", port.name, "\" is ", to_string(shape), ", and ",
                 to_string(port.shape), " by the manifest: export the model again");
  INKSTONE_CHECK(type == acl_type(port.type), path_.string(), ": \"", port.name, "\" is of AscendCL's type ", type,
                 ", and ", name_of(port.type), " by the manifest: export the model again");
  INKSTONE_CHECK(size > 0, path_.string(), ": \"", port.name, "\" has no size: it was compiled for any shape");
}

void OmModel::execute(const Dataset& inputs, const Dataset& outputs, const Gear& gear) {
  const Device::About about(device_, path_.string());
  if (gear_input_) {
    // The sizes of all inputs in a row, in the file's own order, without the extra one.
    Dims dims{};
    std::vector<size_t> order(inputs_.size());
    for (size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::ranges::sort(order, {}, [&](size_t i) { return inputs_[i].at; });
    for (const size_t i : order)
      for (const int64_t size : gear.inputs[i]) {
        INKSTONE_CHECK(dims.count < std::size(dims.sizes), path_.string(), ": the inputs of a gear have more than ",
                       std::size(dims.sizes), " sizes in all, and AscendCL takes no more: export without gears");
        dims.sizes[dims.count++] = size;
      }
    INKSTONE_ACL(device_, aclmdlSetInputDynamicDims, id_, inputs.get(), gear_input_->at, &dims);
  }
  INKSTONE_ACL(device_, aclmdlExecuteAsync, id_, inputs.get(), outputs.get(), device_.stream());
  ++device_.counters().executions;
}

}  // namespace inkstone::ascend
