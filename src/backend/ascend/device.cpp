#include "backend/ascend/device.h"

#include <charconv>
#include <cstring>

#include "base/environment.h"

namespace inkstone::ascend {
namespace {

// AscendCL is initialised once for a process, and ended with the last device.
struct Process {
  std::mutex mutex;
  int devices = 0;
  // Otherwise another library of this process initialised it, and will end it.
  bool ours = false;
};

Process& process() {
  static Process the;
  return the;
}

std::chrono::milliseconds step_timeout() {
  constexpr int kDefault = 120, kMax = 86'400;
  const std::optional<std::string> text = nonempty_environment(Variable::kStepTimeout);
  if (!text) return std::chrono::seconds(kDefault);
  int seconds = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), seconds);
  INKSTONE_CHECK_USAGE(error == std::errc() && end == text->data() + text->size() && seconds >= 1 && seconds <= kMax,
                       "INKSTONE_STEP_TIMEOUT is \"", *text,
                       "\": it is the seconds that one run on a device may take, from 1 to ", kMax);
  return std::chrono::seconds(seconds);
}

std::string cann_version(const Api& api) {
  if (api.aclsysGetCANNVersion)
    for (const PackageName package : {kPackageCann, kPackageToolkit}) {
      PackageVersion version{};
      if (api.aclsysGetCANNVersion(package, &version) == 0 && version.version[0]) return version.version;
    }
  char package[] = "toolkit", version[256] = {};
  if (api.aclsysGetVersionStr && api.aclsysGetVersionStr(package, version) == 0) return version;
  return {};
}

}  // namespace

Device::Device(Library library, int index)
    : library_(std::move(library)), index_(index), name_("npu:" + std::to_string(index)), timeout_(step_timeout()) {
  try {
    run([this] { open(); });
  } catch (...) {
    clean_up([this] { close(); });
    throw;
  }
}

Device::~Device() {
  clean_up([this] { close(); });
}

void Device::check_usable() const {
  const std::lock_guard lock(lost_mutex_);
  if (!lost_.empty())
    throw AclError(name_ + " is unusable and this process must be started anew, since: " + lost_, lost_code_,
                   INKSTONE_HERE);
}

std::string Device::unusable() const {
  const std::lock_guard lock(lost_mutex_);
  return lost_;
}

void Device::open() {
  {
    const std::lock_guard lock(process().mutex);
    if (process().devices == 0) {
      const Code code = api().aclInit(nullptr);
      if (code != kAlreadyInitialised) check(code, "aclInit", INKSTONE_HERE);
      process().ours = code != kAlreadyInitialised;
    }
    ++process().devices;
    initialised_ = true;
  }
  cann_ = cann_version(api());
  uint32_t count = 0;
  INKSTONE_ACL(*this, aclrtGetDeviceCount, &count);
  INKSTONE_CHECK_USAGE(static_cast<uint32_t>(index_) < count, "no device ", name_, ": AscendCL lists ", count,
                       count == 1 ? " (npu:0)" : "", "; see npu-smi info and ASCEND_RT_VISIBLE_DEVICES");
  INKSTONE_ACL(*this, aclrtSetDevice, index_);
  set_ = true;
  INKSTONE_ACL(*this, aclrtCreateContext, &context_, index_);
  INKSTONE_ACL(*this, aclrtSetCurrentContext, context_);
  open_stream();
  int mode = kOnHost;
  INKSTONE_ACL(*this, aclrtGetRunMode, &mode);
  unified_ = mode == kOnDevice;
  const char* soc = api().aclrtGetSocName();
  if (!soc) refuse("no name for the chip", "aclrtGetSocName", INKSTONE_HERE);
  soc_ = soc;
}

// The stream stops at the first failure, instead of continuing with wrong data.
void Device::open_stream() {
  INKSTONE_ACL(*this, aclrtCreateStream, &stream_);
  if (api().aclrtSetStreamFailureMode) INKSTONE_ACL(*this, aclrtSetStreamFailureMode, stream_, kStopOnFailure);
}

// Queued work is dropped; the ordinary call would wait for it.
void Device::drop_stream() noexcept {
  const Opaque stream = std::exchange(stream_, nullptr);
  if (stream) api().aclrtDestroyStreamForce ? api().aclrtDestroyStreamForce(stream) : api().aclrtDestroyStream(stream);
}

// Closes what was opened, in the opposite order. Errors of a broken device are ignored.
void Device::close() noexcept {
  const bool lost = !unusable().empty();
  if (lost) drop_stream();
  if (stream_) api().aclrtDestroyStream(std::exchange(stream_, nullptr));
  if (context_) api().aclrtDestroyContext(std::exchange(context_, nullptr));
  if (set_ && lost && api().aclrtResetDeviceForce) {
    api().aclrtResetDeviceForce(index_);
  } else if (set_) {
    api().aclrtResetDevice(index_);
  }
  set_ = false;
  if (!std::exchange(initialised_, false)) return;
  const std::lock_guard lock(process().mutex);
  if (--process().devices == 0 && process().ours) api().aclFinalize();
}

void Device::check(Code code, const char* call, const char* where) {
  if (code == 0) return;
  // It belongs to this thread and is gone after the next call.
  const char* message = api().aclGetRecentErrMsg();
  const AclError error({call, code, message ? message : "", name_, soc_, cann_, file_}, where);
  if (error.device_lost()) mark_lost(error);
  throw error;
}

void Device::mark_lost(const AclError& error) {
  const std::lock_guard lock(lost_mutex_);
  if (!lost_.empty()) return;
  lost_ = error.what();
  lost_code_ = error.code();
}

void Device::refuse(const std::string& why, const char* call, const char* where) {
  constexpr Code kFailure = 500001;
  const char* said = api().aclGetRecentErrMsg();
  throw AclError({call, kFailure, said && *said ? why + ": " + said : why, name_, soc_, cann_, file_}, where);
}

std::byte* Device::reserve(size_t bytes) {
  void* memory = nullptr;
  INKSTONE_ACL(*this, aclrtMalloc, &memory, bytes, kHugePagesFirst);
  ++counters_.device_allocations;
  return static_cast<std::byte*>(memory);
}

void Device::release(std::byte* memory) noexcept {
  if (memory) api().aclrtFree(memory);
}

std::byte* Device::reserve_host(size_t bytes) {
  void* memory = nullptr;
  INKSTONE_ACL(*this, aclrtMallocHost, &memory, bytes);
  ++counters_.host_allocations;
  return static_cast<std::byte*>(memory);
}

void Device::release_host(std::byte* memory) noexcept {
  if (memory) api().aclrtFreeHost(memory);
}

void Device::copy(std::byte* to, const std::byte* from, size_t bytes, CopyKind kind) {
  INKSTONE_ACL(*this, aclrtMemcpyAsync, to, bytes, from, bytes, kind, stream_);
  const bool up = kind == kHostToDevice, down = kind == kDeviceToHost;
  ++(up ? counters_.copies_to_device : down ? counters_.copies_to_host : counters_.copies_on_device);
  (up ? counters_.bytes_to_device : down ? counters_.bytes_to_host : counters_.bytes_on_device) += bytes;
}

void Device::synchronize() {
  try {
    if (api().aclrtSynchronizeStreamWithTimeout) {
      INKSTONE_ACL(*this, aclrtSynchronizeStreamWithTimeout, stream_, static_cast<int32_t>(timeout_.count()));
    } else {
      INKSTONE_ACL(*this, aclrtSynchronizeStream, stream_);
    }
  } catch (const AclError& error) {  // a stream that has failed takes no more
    drop_stream();
    if (error.device_lost()) throw;
    try {
      open_stream();
    } catch (const AclError& no_stream) {
      mark_lost(no_stream);
    }
    throw;
  }
}

Device::MemoryInfo Device::memory() {
  MemoryInfo info;
  INKSTONE_ACL(*this, aclrtGetMemInfo, kDeviceMemory, &info.free, &info.total);
  return info;
}

}  // namespace inkstone::ascend
