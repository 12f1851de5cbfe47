// A small libascendcl.so for tests of the backend `ascend`: keeps count of what is open, holds to
// the rules of threads and contexts, fails on demand. Its `.om` is the real header, then lines:
// "work N", "weights N", "in NAME TYPE D,D", "out NAME TYPE D,D"; a first dimension of -1 makes it
// one with gears. Output k is input 0 doubled, plus k, over and over.
#include "backend/fake_acl/fake_acl.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <mutex>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

namespace {

struct Port {
  std::string name;
  int type = 0;
  std::vector<int64_t> dims;
  size_t bytes(int64_t batch) const {
    size_t count = type == 1 || type == 27 ? 2 : 4;
    for (const int64_t d : dims) count *= static_cast<size_t>(d < 0 ? batch : d);
    return count;
  }
};
struct Model {
  size_t work = 0, weights = 0;
  std::vector<Port> in, out;
  bool geared = false;
  int64_t batch = 0;  // the gear's
  void* work_at = nullptr;
};
constexpr int64_t kMaxBatch = 8;

struct Buffer {
  void* data;
  size_t size;
};
using Dataset = std::vector<Buffer*>;
struct Failure {
  int nth, code;
  bool always;
};

struct State {
  std::mutex mutex;
  std::set<void*> handles;
  std::map<void*, size_t> device, host;
  std::map<uint32_t, Model> models;
  std::map<std::string, long> calls;
  std::map<std::string, Failure> failures;
  long violations = 0;
  size_t limit = SIZE_MAX;
  uint32_t next_model = 1;
  bool initialised = false, set = false;
};
State& state() {
  static State* the = new State;  // outlives every test
  return *the;
}
thread_local void* current = nullptr;
thread_local std::string message;

int refuse(int code, const std::string& why, bool violation = true) {
  message = "EE0000: " + why;
  if (violation) ++state().violations;
  return code;
}

// Counts the call; the failure asked for it, or 0.
int enter(const char* call) {
  const std::lock_guard lock(state().mutex);
  ++state().calls[call];
  const auto found = state().failures.find(call);
  if (found == state().failures.end()) return 0;
  if (found->second.nth > 1) return --found->second.nth, 0;
  const int code = found->second.code;
  if (!found->second.always) state().failures.erase(found);
  return refuse(code, std::string(call) + " was told\n to fail", false);
}

int enter_context(const char* call) {
  if (const int code = enter(call)) return code;
  return current ? 0 : refuse(107002, std::string(call) + ": context is a null pointer");
}

bool read_om(const char* path, Model& model) {
  std::ifstream file(path, std::ios::binary);
  char header[256];
  if (!file.read(header, sizeof header)) return false;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string kind, dims;
    words >> kind;
    if (kind == "work") words >> model.work;
    if (kind == "weights") words >> model.weights;
    if (kind != "in" && kind != "out") continue;
    Port port;
    words >> port.name >> port.type >> dims;
    std::istringstream list(dims);
    for (std::string d; std::getline(list, d, ',');) port.dims.push_back(std::stoll(d));
    model.geared = model.geared || port.dims.at(0) < 0;
    (kind == "in" ? model.in : model.out).push_back(port);
  }
  if (model.geared) model.in.push_back({"ascend_mbatch_shape_data", 3, {4}});
  return true;
}

void* new_handle(size_t bytes = 1) {
  void* handle = std::calloc(1, bytes);
  state().handles.insert(handle);
  return handle;
}
int end_handle(void* handle) {
  if (!state().handles.erase(handle)) return refuse(107017, "no such handle");
  std::free(handle);
  return 0;
}

bool on_device(const void* at, size_t bytes) {
  const auto* byte = static_cast<const char*>(at);
  for (const auto& [begin, size] : state().device)
    if (byte >= begin && byte + bytes <= static_cast<const char*>(begin) + size) return true;
  return false;
}

float read_one(const Port& port, const void* data, size_t i) {
  return port.type == 3 ? static_cast<float>(static_cast<const int32_t*>(data)[i]) : static_cast<const float*>(data)[i];
}

}  // namespace

#define FAKE extern "C" __attribute__((visibility("default")))
#define ENTER(call) \
  if (const int code_ = enter(#call)) return code_
#define ENTER_CONTEXT(call) \
  if (const int code_ = enter_context(#call)) return code_

FAKE int aclInit(const char*) {
  ENTER(aclInit);
  if (state().initialised) return 100002;
  state().initialised = true;
  return 0;
}
FAKE int aclFinalize() {
  ENTER(aclFinalize);
  if (!state().initialised) return refuse(100037, "not initialised");
  state().initialised = false;
  return 0;
}
FAKE const char* aclGetRecentErrMsg() {
  static thread_local std::string last;
  last = std::exchange(message, {});
  return last.empty() ? nullptr : last.c_str();
}
FAKE const char* aclrtGetSocName() { return enter("aclrtGetSocName") ? nullptr : "Ascend910B4(simulated)"; }
FAKE int aclsysGetCANNVersion(int, char* version) {
  ENTER(aclsysGetCANNVersion);
  std::strcpy(version, "8.1.RC1-simulated");
  return 0;
}
FAKE int aclrtGetDeviceCount(uint32_t* count) {
  ENTER(aclrtGetDeviceCount);
  *count = 1;
  return 0;
}
FAKE int aclrtGetRunMode(int* mode) {
  ENTER(aclrtGetRunMode);
  *mode = std::getenv("FAKE_ACL_UNIFIED") ? 0 : 1;
  return 0;
}
FAKE int aclrtSetDevice(int32_t) {
  ENTER(aclrtSetDevice);
  state().set = true;
  return 0;
}
FAKE int aclrtResetDevice(int32_t) {
  ENTER(aclrtResetDevice);
  state().set = false;
  return 0;
}
FAKE int aclrtResetDeviceForce(int32_t device) { return aclrtResetDevice(device); }
FAKE int aclrtCreateContext(void** context, int32_t) {
  ENTER(aclrtCreateContext);
  current = *context = new_handle();
  return 0;
}
FAKE int aclrtDestroyContext(void* context) {
  ENTER(aclrtDestroyContext);
  if (current == context) current = nullptr;
  return end_handle(context);
}
FAKE int aclrtSetCurrentContext(void* context) {
  ENTER(aclrtSetCurrentContext);
  current = context;
  return 0;
}
FAKE int aclrtCreateStream(void** stream) {
  ENTER_CONTEXT(aclrtCreateStream);
  *stream = new_handle();
  return 0;
}
FAKE int aclrtDestroyStream(void* stream) {
  ENTER_CONTEXT(aclrtDestroyStream);
  return end_handle(stream);
}
FAKE int aclrtSynchronizeStream(void*) { return enter_context("aclrtSynchronizeStream"); }
FAKE int aclrtSynchronizeStreamWithTimeout(void*, int32_t) {
  return enter_context("aclrtSynchronizeStreamWithTimeout");
}
FAKE int aclrtSetStreamFailureMode(void*, uint64_t) { return enter_context("aclrtSetStreamFailureMode"); }

FAKE int aclrtMalloc(void** memory, size_t bytes, int) {
  ENTER_CONTEXT(aclrtMalloc);
  size_t used = bytes;
  for (const auto& [at, size] : state().device) used += size;
  if (used > state().limit) return refuse(207001, "EL0004: Failed to allocate memory.", false);
  *memory = std::aligned_alloc(64, (bytes + 95) / 64 * 64);
  state().device[*memory] = bytes;
  return 0;
}
FAKE int aclrtFree(void* memory) {
  ENTER_CONTEXT(aclrtFree);
  if (!state().device.erase(memory)) return refuse(207002, "no such memory");
  std::free(memory);
  return 0;
}
FAKE int aclrtMallocHost(void** memory, size_t bytes) {
  ENTER_CONTEXT(aclrtMallocHost);
  state().host[*memory = std::malloc(bytes)] = bytes;
  return 0;
}
FAKE int aclrtFreeHost(void* memory) {
  ENTER_CONTEXT(aclrtFreeHost);
  if (!state().host.erase(memory)) return refuse(207002, "no such memory");
  std::free(memory);
  return 0;
}
FAKE int aclrtGetMemInfo(int, size_t* free, size_t* total) {
  ENTER_CONTEXT(aclrtGetMemInfo);
  *total = size_t{32} << 30;
  *free = *total / 2;
  return 0;
}
FAKE int aclrtMemcpyAsync(void* to, size_t max_bytes, const void* from, size_t bytes, int kind, void*) {
  ENTER_CONTEXT(aclrtMemcpyAsync);
  if (bytes > max_bytes || (kind != 2) != on_device(to, bytes) || (kind != 1) != on_device(from, bytes))
    return refuse(107000, "a copy outside of its memory");
  std::memcpy(to, from, bytes);
  return 0;
}

FAKE int aclmdlQuerySize(const char* file, size_t* work, size_t* weights) {
  ENTER_CONTEXT(aclmdlQuerySize);
  Model model;
  if (!read_om(file, model)) return refuse(145002, "no such file", false);
  *work = model.work;
  *weights = model.weights;
  return 0;
}
FAKE int aclmdlLoadFromFileWithMem(const char* file, uint32_t* id, void* work, size_t work_bytes, void* weights,
                                   size_t weight_bytes) {
  ENTER_CONTEXT(aclmdlLoadFromFileWithMem);
  Model model;
  if (!read_om(file, model)) return refuse(545001, "no such file", false);
  if (work_bytes < model.work || weight_bytes < model.weights || !on_device(work, model.work) ||
      !on_device(weights, model.weights))
    return refuse(145000, "memory too small");
  model.work_at = work;
  state().models[*id = state().next_model++] = model;
  return 0;
}
FAKE int aclmdlUnload(uint32_t id) {
  ENTER_CONTEXT(aclmdlUnload);
  return state().models.erase(id) ? 0 : refuse(100011, "no such model");
}
FAKE void* aclmdlCreateDesc() { return enter("aclmdlCreateDesc") ? nullptr : new_handle(sizeof(uint32_t)); }
FAKE int aclmdlDestroyDesc(void* desc) { return end_handle(desc); }
FAKE int aclmdlGetDesc(void* desc, uint32_t id) {
  ENTER_CONTEXT(aclmdlGetDesc);
  std::memcpy(desc, &id, sizeof id);
  return 0;
}
static const Model& model_of(void* desc) { return state().models.at(*static_cast<uint32_t*>(desc)); }
FAKE size_t aclmdlGetNumInputs(void* desc) { return model_of(desc).in.size(); }
FAKE size_t aclmdlGetNumOutputs(void* desc) { return model_of(desc).out.size(); }
FAKE size_t aclmdlGetInputSizeByIndex(void* desc, size_t at) { return model_of(desc).in.at(at).bytes(kMaxBatch); }
FAKE size_t aclmdlGetOutputSizeByIndex(void* desc, size_t at) { return model_of(desc).out.at(at).bytes(kMaxBatch); }
FAKE const char* aclmdlGetInputNameByIndex(void* desc, size_t at) { return model_of(desc).in.at(at).name.c_str(); }
FAKE const char* aclmdlGetOutputNameByIndex(void* desc, size_t at) { return model_of(desc).out.at(at).name.c_str(); }
FAKE int aclmdlGetInputDataType(void* desc, size_t at) { return model_of(desc).in.at(at).type; }
FAKE int aclmdlGetOutputDataType(void* desc, size_t at) { return model_of(desc).out.at(at).type; }
struct FakeDims {
  char name[128];
  size_t count;
  int64_t sizes[128];
};
static int give_dims(const Port& port, FakeDims* dims) {
  dims->count = port.dims.size();
  std::copy(port.dims.begin(), port.dims.end(), dims->sizes);
  return 0;
}
FAKE int aclmdlGetInputDims(void* desc, size_t at, FakeDims* dims) { return give_dims(model_of(desc).in.at(at), dims); }
FAKE int aclmdlGetOutputDims(void* desc, size_t at, FakeDims* dims) {
  return give_dims(model_of(desc).out.at(at), dims);
}

FAKE void* aclmdlCreateDataset() {
  if (enter("aclmdlCreateDataset")) return nullptr;
  auto* dataset = new Dataset;
  state().handles.insert(dataset);
  return dataset;
}
FAKE int aclmdlDestroyDataset(void* dataset) {
  if (!state().handles.erase(dataset)) return refuse(107017, "no such dataset");
  delete static_cast<Dataset*>(dataset);
  return 0;
}
FAKE int aclmdlAddDatasetBuffer(void* dataset, void* buffer) {
  ENTER(aclmdlAddDatasetBuffer);
  static_cast<Dataset*>(dataset)->push_back(static_cast<Buffer*>(buffer));
  return 0;
}
FAKE void* aclCreateDataBuffer(void*, size_t) {
  return enter("aclCreateDataBuffer") ? nullptr : new_handle(sizeof(Buffer));
}
FAKE int aclDestroyDataBuffer(void* buffer) { return end_handle(buffer); }
FAKE int aclUpdateDataBuffer(void* buffer, void* data, size_t size) {
  ENTER(aclUpdateDataBuffer);
  *static_cast<Buffer*>(buffer) = {data, size};
  return 0;
}
FAKE int aclmdlSetInputDynamicDims(uint32_t id, void*, size_t at, const FakeDims* dims) {
  ENTER_CONTEXT(aclmdlSetInputDynamicDims);
  Model& model = state().models.at(id);
  if (at != model.in.size() - 1) return refuse(145011, "not the gear's input");
  size_t count = 0;
  for (const Port& port : model.in) count += port.dims.size();
  if (dims->count != count - 1) return refuse(145012, "sizes of another number");
  model.batch = dims->sizes[0];
  return 0;
}
FAKE int aclmdlExecuteAsync(uint32_t id, void* inputs, void* outputs, void*) {
  ENTER_CONTEXT(aclmdlExecuteAsync);
  Model& model = state().models.at(id);
  const Dataset &in = *static_cast<Dataset*>(inputs), &out = *static_cast<Dataset*>(outputs);
  if (in.size() != model.in.size() || out.size() != model.out.size())
    return refuse(100017, "buffers of another number");
  if (!model.geared) model.batch = 1;
  if (!model.batch) return refuse(145013, "no gear was set");
  const auto wrong = [&](const Port& port, const Buffer& buffer) {
    return !on_device(buffer.data, buffer.size) || buffer.size < port.bytes(model.batch) ||
           reinterpret_cast<uintptr_t>(buffer.data) % 64;
  };
  for (size_t i = 0; i < in.size(); ++i)
    if (wrong(model.in[i], *in[i])) return refuse(507011, "input " + std::to_string(i));
  for (size_t i = 0; i < out.size(); ++i)
    if (wrong(model.out[i], *out[i])) return refuse(507011, "output " + std::to_string(i));
  std::memset(model.work_at, 0xab, model.work);
  for (size_t k = 0; k < out.size(); ++k) {
    const size_t from = model.in[0].bytes(model.batch) / 4, to = model.out[k].bytes(model.batch) / 4;
    for (size_t i = 0; i < to; ++i)
      static_cast<float*>(out[k]->data)[i] = 2 * read_one(model.in[0], in[0]->data, i % from) + static_cast<float>(k);
  }
  if (model.geared) model.batch = 0;
  return 0;
}

FAKE const FakeAcl* fake_acl() {
  static const FakeAcl the{[](const char* call, int nth, int code, bool always) {
                             state().failures[call] = {nth, code, always};
                           },
                           [] {
                             state().failures.clear();
                             state().calls.clear();
                             state().limit = SIZE_MAX;
                             state().violations = 0;
                           },
                           [] {
                             return static_cast<long>(state().handles.size() + state().device.size() +
                                                      state().host.size() + state().models.size() +
                                                      state().initialised + state().set);
                           },
                           [](const char* call) {
                             const std::lock_guard lock(state().mutex);
                             return state().calls[call];
                           },
                           [] { return state().violations; },
                           [](size_t bytes) { state().limit = bytes; }};
  return &the;
}
