// Descriptions of models: inputs, outputs, gears.
#include <cstdio>
#include <cstring>

#include "model.h"
#include "thread_state.h"

using namespace ascend_sim;

namespace {

constexpr size_t kAnyInput = static_cast<size_t>(-1);

bool known(const aclmdlDesc* desc) { return is_handle(kDesc, desc); }
bool has_gears(const aclmdlDesc* desc) { return desc->info.gear_kind != GearKind::kNone; }

size_t inputs_of(const aclmdlDesc* desc) { return desc->info.inputs.size() + has_gears(desc); }

// The gear input comes last.
OmPort input(const aclmdlDesc* desc, size_t i) {
  if (i < desc->info.inputs.size()) return desc->info.inputs[i];
  return {kGearInput, kInt64, {static_cast<int64_t>(desc->info.gears.at(0).size())}};
}

size_t bytes_at(const OmPort& port, const Shape& dims) {
  return static_cast<size_t>(count(dims)) * bytes_of(port.type);
}

aclError give_dims(const std::string& name, const Shape& dims, aclmdlIODims* to) {
  std::memset(to, 0, sizeof *to);
  std::snprintf(to->name, sizeof to->name, "%s", name.c_str());
  to->dimCount = dims.size();
  for (size_t i = 0; i < dims.size(); ++i) to->dims[i] = dims[i];
  return kOk;
}

aclError bad() { return fail(kInvalidParam, "EH0002", "no such description, or no such input or output"); }

template <class Body>
aclError of_input(const char* call, const aclmdlDesc* desc, size_t index, Body body) {
  return call_api(call, Need::kInit,
                  [&]() -> aclError { return known(desc) && index < inputs_of(desc) ? body() : bad(); });
}
template <class Body>
aclError of_output(const char* call, const aclmdlDesc* desc, size_t index, Body body) {
  return call_api(call, Need::kInit,
                  [&]() -> aclError { return known(desc) && index < desc->info.outputs.size() ? body() : bad(); });
}

}  // namespace

aclmdlDesc* aclmdlCreateDesc() { return keep_handle(kDesc, new aclmdlDesc); }

aclError aclmdlDestroyDesc(aclmdlDesc* desc) {
  return call_api("aclmdlDestroyDesc", Need::kNothing, [&]() -> aclError {
    if (!drop_handle(kDesc, desc)) return kInvalidParam;
    delete desc;
    return kOk;
  });
}

aclError aclmdlGetDesc(aclmdlDesc* desc, uint32_t id) {
  return call_api("aclmdlGetDesc", Need::kContext, [&]() -> aclError {
    if (!known(desc)) return bad();
    std::lock_guard lock(world().mutex);
    const auto model = world().models.find(id);
    if (model == world().models.end())
      return breach(kModelId, "EE1001", "the description of a model that is not loaded");
    desc->id = id;
    desc->info = model->second->info;
    desc->output_shapes = model->second->output_shapes;
    return kOk;
  });
}

aclError aclmdlGetDescFromFile(aclmdlDesc* desc, const char* path) {
  return call_api("aclmdlGetDescFromFile", Need::kInit, [&]() -> aclError {
    if (!known(desc)) return bad();
    LoadRequest request;
    request.path = path ? path : "";
    onnx::ModelProto model;
    OmInfo info;
    if (const aclError code = read_info(request, info, &model)) return code;
    try {
      desc->output_shapes = shapes_of_outputs(info, model);
    } catch (const OpError& error) {
      return fail(kLoadModel, "E19999", error.what());
    }
    desc->id = 0;
    desc->info = info;
    return kOk;
  });
}

size_t aclmdlGetNumInputs(aclmdlDesc* desc) { return known(desc) ? inputs_of(desc) : 0; }
size_t aclmdlGetNumOutputs(aclmdlDesc* desc) { return known(desc) ? desc->info.outputs.size() : 0; }

size_t aclmdlGetInputSizeByIndex(aclmdlDesc* desc, size_t index) {
  if (!known(desc) || index >= inputs_of(desc)) return 0;
  const OmPort port = input(desc, index);
  if (index >= desc->info.inputs.size()) return bytes_at(port, port.dims);
  return bytes_at(port, desc->info.input_shapes(has_gears(desc) ? desc->info.largest_gear() : 0)[index]);
}

size_t aclmdlGetOutputSizeByIndex(aclmdlDesc* desc, size_t index) {
  if (!known(desc) || index >= desc->info.outputs.size()) return 0;
  size_t largest = 0;
  for (const auto& shapes : desc->output_shapes)
    largest = std::max(largest, bytes_at(desc->info.outputs[index], shapes[index]));
  return largest;
}

const char* aclmdlGetInputNameByIndex(const aclmdlDesc* desc, size_t index) {
  if (!known(desc) || index >= inputs_of(desc)) return "";
  return index < desc->info.inputs.size() ? desc->info.inputs[index].name.c_str() : kGearInput;
}
const char* aclmdlGetOutputNameByIndex(const aclmdlDesc* desc, size_t index) {
  return known(desc) && index < desc->info.outputs.size() ? desc->info.outputs[index].name.c_str() : "";
}
const char* aclmdlGetTensorRealName(const aclmdlDesc* desc, const char* name) { return known(desc) ? name : nullptr; }

aclError aclmdlGetInputIndexByName(const aclmdlDesc* desc, const char* name, size_t* index) {
  return of_input("aclmdlGetInputIndexByName", desc, 0, [&]() -> aclError {
    for (*index = 0; *index < inputs_of(desc); ++*index)
      if (input(desc, *index).name == name) return kOk;
    return fail(kInvalidParam, "EH0002", std::string("no input is called ") + name);
  });
}

aclError aclmdlGetOutputIndexByName(const aclmdlDesc* desc, const char* name, size_t* index) {
  return of_output("aclmdlGetOutputIndexByName", desc, 0, [&]() -> aclError {
    for (*index = 0; *index < desc->info.outputs.size(); ++*index)
      if (desc->info.outputs[*index].name == name) return kOk;
    return fail(kInvalidParam, "EH0002", std::string("no output is called ") + name);
  });
}

aclError aclmdlGetInputDims(const aclmdlDesc* desc, size_t index, aclmdlIODims* dims) {
  return of_input("aclmdlGetInputDims", desc, index, [&] {
    const OmPort port = input(desc, index);
    return give_dims(port.name, port.dims, dims);
  });
}
aclError aclmdlGetInputDimsV2(const aclmdlDesc* desc, size_t index, aclmdlIODims* dims) {
  return of_input("aclmdlGetInputDimsV2", desc, index, [&] {
    const OmPort port = input(desc, index);
    return give_dims(port.name, port.dims, dims);
  });
}
aclError aclmdlGetOutputDims(const aclmdlDesc* desc, size_t index, aclmdlIODims* dims) {
  return of_output("aclmdlGetOutputDims", desc, index,
                   [&] { return give_dims(desc->info.outputs[index].name, desc->info.outputs[index].dims, dims); });
}

aclError aclmdlGetCurOutputDims(const aclmdlDesc* desc, size_t index, aclmdlIODims* dims) {
  return of_output("aclmdlGetCurOutputDims", desc, index, [&]() -> aclError {
    std::lock_guard lock(world().mutex);
    const auto model = world().models.find(desc->id);
    if (model == world().models.end())
      return breach(kModelId, "EE1001", "the current shapes of a model that is not loaded");
    return give_dims(desc->info.outputs[index].name, desc->output_shapes.at(model->second->gear)[index], dims);
  });
}

aclError aclmdlGetInputDimsRange(const aclmdlDesc* desc, size_t index, aclmdlIODimsRange* range) {
  return of_input("aclmdlGetInputDimsRange", desc, index, [&] {
    // of dynamic models alone, which are not simulated
    range->rangeCount = 0;
    return aclError{kOk};
  });
}

int aclmdlGetInputDataType(const aclmdlDesc* desc, size_t index) {
  return known(desc) && index < inputs_of(desc) ? acl_type(input(desc, index).type) : -1;
}
int aclmdlGetOutputDataType(const aclmdlDesc* desc, size_t index) {
  return known(desc) && index < desc->info.outputs.size() ? acl_type(desc->info.outputs[index].type) : -1;
}
int aclmdlGetInputFormat(const aclmdlDesc* desc, size_t index) {
  return known(desc) && index < inputs_of(desc) ? 2 : -1;  // ND
}
int aclmdlGetOutputFormat(const aclmdlDesc* desc, size_t index) {
  return known(desc) && index < desc->info.outputs.size() ? 2 : -1;
}

aclError aclmdlGetDynamicBatch(const aclmdlDesc* desc, aclmdlBatch* batch) {
  return of_input("aclmdlGetDynamicBatch", desc, 0, [&] {
    const auto& info = desc->info;
    batch->batchCount = info.gear_kind == GearKind::kBatch ? info.gears.size() : 0;
    for (size_t i = 0; i < batch->batchCount; ++i) batch->batch[i] = static_cast<uint64_t>(info.gears[i][0]);
    return aclError{kOk};
  });
}

aclError aclmdlGetDynamicHW(const aclmdlDesc* desc, size_t, aclmdlHW* hw) {
  return of_input("aclmdlGetDynamicHW", desc, 0, [&] {
    const auto& info = desc->info;
    hw->hwCount = info.gear_kind == GearKind::kImage ? info.gears.size() : 0;
    for (size_t i = 0; i < hw->hwCount; ++i)
      for (size_t side = 0; side < 2; ++side) hw->hw[i][side] = static_cast<uint64_t>(info.gears[i][side]);
    return aclError{kOk};
  });
}

aclError aclmdlGetInputDynamicGearCount(const aclmdlDesc* desc, size_t index, size_t* count) {
  return of_input("aclmdlGetInputDynamicGearCount", desc, 0, [&]() -> aclError {
    if (index != kAnyInput) return breach(kInvalidParam, "EH0002", "gears of one input: the index must be -1");
    *count = desc->info.gear_kind == GearKind::kDims ? desc->info.gears.size() : 0;
    return kOk;
  });
}

aclError aclmdlGetInputDynamicDims(const aclmdlDesc* desc, size_t index, aclmdlIODims* dims, size_t gears) {
  return of_input("aclmdlGetInputDynamicDims", desc, 0, [&]() -> aclError {
    if (index != kAnyInput) return breach(kInvalidParam, "EH0002", "gears of one input: the index must be -1");
    if (desc->info.gear_kind != GearKind::kDims || gears < desc->info.gears.size())
      return fail(kInvalidParam, "EH0002", "no gears of this kind, or too little room for them");
    for (size_t gear = 0; gear < desc->info.gears.size(); ++gear) {
      Shape all;
      for (const Shape& shape : desc->info.input_shapes(gear)) all.insert(all.end(), shape.begin(), shape.end());
      give_dims("", all, &dims[gear]);
    }
    return kOk;
  });
}
