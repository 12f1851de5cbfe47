// Sizes, the ways to load, and unloading.
#include <cstring>

#include "model.h"
#include "thread_state.h"

using namespace ascend_sim;

struct aclmdlConfigHandle {
  LoadRequest request;
  size_t type = 0;
  std::set<int> set;
};

namespace {

enum LoadType : size_t { kFromFile = 1, kFromFileWithMem, kFromMem, kFromMemWithMem };

aclError query(const LoadRequest& request, size_t* work, size_t* weight) {
  OmInfo info;
  if (const aclError code = read_info(request, info, nullptr)) return code;
  *work = info.work_bytes;
  *weight = info.weight_bytes;
  return kOk;
}

LoadRequest from_file(const char* path) {
  LoadRequest request;
  request.path = path ? path : "";
  return request;
}

LoadRequest from_memory(const void* model, size_t size) {
  LoadRequest request;
  request.memory = model;
  request.size = size;
  return request;
}

LoadRequest with_memory(LoadRequest request, void* work, size_t work_size, void* weight, size_t weight_size) {
  request.work = work;
  request.work_size = work_size;
  request.weight = weight;
  request.weight_size = weight_size;
  return request;
}

template <class T>
T value_of(const void* value) {
  T result;
  std::memcpy(&result, value, sizeof result);
  return result;
}

// Pointers are passed by the address of the pointer.
aclError set_option(aclmdlConfigHandle& handle, int attribute, const void* value, size_t size) {
  LoadRequest& r = handle.request;
  const size_t want = attribute == 0 || attribute == 28 ? 4 : 8;
  if (!value || size != want) return breach(kInvalidParam, "EH0002", "an option of a model of the wrong size");
  handle.set.insert(attribute);
  switch (attribute) {
    case 0: return kOk;
    case 1: handle.type = value_of<size_t>(value); return kOk;
    case 2: r.path = value_of<const char*>(value); return kOk;
    case 3: r.memory = value_of<const void*>(value); return kOk;
    case 4: r.size = value_of<size_t>(value); return kOk;
    case 5: r.weight = value_of<void*>(value); return kOk;
    case 6: r.weight_size = value_of<size_t>(value); return kOk;
    case 7: r.work = value_of<void*>(value); return kOk;
    case 8: r.work_size = value_of<size_t>(value); return kOk;
    case 13: return kOk;
    case 14: r.weight_folder = value_of<const char*>(value); return kOk;
    case 25: return kOk;
    default: return fail(kNotSupported, "EH0002", "option " + std::to_string(attribute) + " is not simulated");
  }
}

}  // namespace

aclError aclmdlQuerySize(const char* file, size_t* work, size_t* weight) {
  return call_api("aclmdlQuerySize", Need::kInit, [&] { return query(from_file(file), work, weight); });
}
aclError aclmdlQuerySizeFromMem(const void* model, size_t size, size_t* work, size_t* weight) {
  return call_api("aclmdlQuerySizeFromMem", Need::kInit, [&] { return query(from_memory(model, size), work, weight); });
}
aclError aclmdlLoadFromFile(const char* path, uint32_t* id) {
  return call_api("aclmdlLoadFromFile", Need::kContext, [&] { return load_model(from_file(path), id); });
}
aclError aclmdlLoadFromMem(const void* model, size_t size, uint32_t* id) {
  return call_api("aclmdlLoadFromMem", Need::kContext, [&] { return load_model(from_memory(model, size), id); });
}
aclError aclmdlLoadFromFileWithMem(const char* path, uint32_t* id, void* work, size_t work_size, void* weight,
                                   size_t weight_size) {
  return call_api("aclmdlLoadFromFileWithMem", Need::kContext,
                  [&] { return load_model(with_memory(from_file(path), work, work_size, weight, weight_size), id); });
}
aclError aclmdlLoadFromMemWithMem(const void* model, size_t size, uint32_t* id, void* work, size_t work_size,
                                  void* weight, size_t weight_size) {
  return call_api("aclmdlLoadFromMemWithMem", Need::kContext, [&] {
    return load_model(with_memory(from_memory(model, size), work, work_size, weight, weight_size), id);
  });
}

aclmdlConfigHandle* aclmdlCreateConfigHandle() { return keep_handle(kConfig, new aclmdlConfigHandle); }

aclError aclmdlDestroyConfigHandle(aclmdlConfigHandle* handle) {
  return call_api("aclmdlDestroyConfigHandle", Need::kNothing, [&]() -> aclError {
    if (!drop_handle(kConfig, handle)) return kInvalidParam;
    delete handle;
    return kOk;
  });
}

aclError aclmdlSetConfigOpt(aclmdlConfigHandle* handle, int attribute, const void* value, size_t size) {
  return call_api("aclmdlSetConfigOpt", Need::kNothing, [&]() -> aclError {
    if (!is_handle(kConfig, handle)) return fail(kInvalidParam, "EH0002", "no load configuration");
    return set_option(*handle, attribute, value, size);
  });
}

aclError aclmdlLoadWithConfig(const aclmdlConfigHandle* handle, uint32_t* id) {
  return call_api("aclmdlLoadWithConfig", Need::kContext, [&]() -> aclError {
    if (!is_handle(kConfig, handle)) return fail(kInvalidParam, "EH0002", "no load configuration");
    const bool file = handle->type == kFromFile || handle->type == kFromFileWithMem;
    if (handle->type < kFromFile || handle->type > kFromMemWithMem || !handle->set.contains(file ? 2 : 3))
      return breach(kInvalidParam, "EH0002", "a load configuration without a load type or without its model");
    LoadRequest request = handle->request;
    if (file) request.memory = nullptr;
    if (handle->type == kFromFile || handle->type == kFromMem) request.work = request.weight = nullptr;
    return load_model(request, id);
  });
}

aclError aclmdlUnload(uint32_t id) {
  return call_api("aclmdlUnload", Need::kRelease, [&]() -> aclError {
    std::lock_guard lock(world().mutex);
    const auto found = world().models.find(id);
    if (found == world().models.end())
      return breach(kModelId, "EE1001", "a model unloaded that is not loaded, or no longer");
    Model& model = *found->second;
    if (model.context != current_context())
      return breach(kModelContext, "EE1001", "a model unloaded in another context");
    if (model.queued) return breach(kUnloadModel, "E19999", "a model unloaded while it executes");
    if (model.owns_work) world().free(model.work);
    if (model.owns_weight) world().free(model.weight);
    world().models.erase(found);
    return kOk;
  });
}
