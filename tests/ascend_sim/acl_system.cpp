// The process: init and finalize, errors, names and versions.
#include <algorithm>
#include <cstdio>
#include <cstring>

#include "thread_state.h"
#include "world.h"

using namespace ascend_sim;

aclError aclInit(const char*) {
  return call_api("aclInit", Need::kNothing, [] {
    std::lock_guard lock(world().mutex);
    if (world().initialized) return fail(kRepeatInitialize, "EH0001", "aclInit a second time");
    world().initialized = true;
    return aclError{kOk};
  });
}

aclError aclFinalize() {
  const aclError code = call_api("aclFinalize", Need::kNothing, [] {
    std::lock_guard lock(world().mutex);
    if (!world().initialized) return breach(kRepeatFinalize, "EH0001", "aclFinalize without aclInit");
    leaks("aclFinalize", -1);
    world().initialized = false;
    return aclError{kOk};
  });
  write_report();
  return code;
}

const char* aclGetRecentErrMsg() {
  ThreadState& state = thread_state();
  state.returned = std::move(state.message);
  state.message.clear();
  return state.returned.empty() ? nullptr : state.returned.c_str();
}

aclError aclrtPeekAtLastError(int) { return thread_state().last_error; }
aclError aclrtGetLastError(int) { return std::exchange(thread_state().last_error, 0); }

const char* aclrtGetSocName() {
  static thread_local std::string name;
  std::lock_guard lock(world().mutex);
  ++world().report.calls["aclrtGetSocName"];
  name = world().settings.soc + kSuffix;
  return world().settings.devices > 0 ? name.c_str() : nullptr;
}

aclError aclrtGetVersion(int32_t* major, int32_t* minor, int32_t* patch) {
  return call_api("aclrtGetVersion", Need::kNothing, [&] {
    *major = 1;
    *minor = 13;
    *patch = 0;
    return aclError{kOk};
  });
}

namespace {
std::string cann_version() {
  std::lock_guard lock(world().mutex);
  return world().settings.cann + kCannSuffix;
}
}  // namespace

aclError aclsysGetCANNVersion(int name, aclCANNPackageVersion* version) {
  return call_api("aclsysGetCANNVersion", Need::kNothing, [&]() -> aclError {
    if (!version || name < 0 || name > 7) return fail(kInvalidParam, "EH0002", "no such package");
    std::memset(version, 0, sizeof *version);
    const std::string text = cann_version();
    std::snprintf(version->version, sizeof version->version, "%s", text.c_str());
    const size_t first = text.find('.'), second = text.find('.', first + 1);
    std::snprintf(version->majorVersion, sizeof version->majorVersion, "%s", text.substr(0, first).c_str());
    if (first != std::string::npos)
      std::snprintf(version->minorVersion, sizeof version->minorVersion, "%s",
                    text.substr(first + 1, second - first - 1).c_str());
    if (second != std::string::npos)
      std::snprintf(version->releaseVersion, sizeof version->releaseVersion, "%s", text.substr(second + 1).c_str());
    return kOk;
  });
}

aclError aclsysGetVersionStr(char*, char* version) {
  return call_api("aclsysGetVersionStr", Need::kNothing, [&] {
    std::snprintf(version, 128, "%s", cann_version().c_str());
    return aclError{kOk};
  });
}

aclError aclsysGetVersionNum(char*, int32_t* number) {
  return call_api("aclsysGetVersionNum", Need::kNothing, [&] {
    int major = 0, minor = 0;
    std::sscanf(cann_version().c_str(), "%d.%d", &major, &minor);
    *number = major * 10000000 + minor * 100000;
    return aclError{kOk};
  });
}

aclError aclGetCannAttribute(int attribute, int32_t* value) {
  return call_api("aclGetCannAttribute", Need::kInit, [&]() -> aclError {
    std::lock_guard lock(world().mutex);
    if (attribute < 0 || attribute > 2 || !value) return fail(kInvalidParam, "EH0002", "no such attribute");
    const Chip& chip = world().chip();
    *value = attribute == 0 ? !chip.saturates() : attribute == 1 ? chip.has_bf16() : 1;
    return kOk;
  });
}

aclError aclGetDeviceCapability(uint32_t, int info, int64_t* value) {
  return call_api("aclGetDeviceCapability", Need::kInit, [&]() -> aclError {
    std::lock_guard lock(world().mutex);
    if (info < 0 || info > 2 || !value) return fail(kInvalidParam, "EH0002", "no such capability");
    const Chip& chip = world().chip();
    *value = info == 0 ? chip.cube_cores : info == 1 ? chip.vector_cores : chip.l2_mb << 20;
    return kOk;
  });
}

aclError aclrtGetDeviceInfo(uint32_t, int attribute, int64_t* value) {
  return call_api("aclrtGetDeviceInfo", Need::kInit, [&]() -> aclError {
    std::lock_guard lock(world().mutex);
    const Chip& chip = world().chip();
    switch (attribute) {
      case 101:
      case 102: *value = chip.cube_cores; break;
      case 201: *value = chip.vector_cores; break;
      case 301: *value = static_cast<int64_t>(world().total_memory()); break;
      case 302: *value = chip.l2_mb << 20; break;
      case 501: *value = 0; break;
      default: return fail(kNotSupported, "EE1001", "this attribute is not simulated");
    }
    return kOk;
  });
}

aclError aclrtCheckArchCompatibility(const char* soc, int32_t* compatible) {
  return call_api("aclrtCheckArchCompatibility", Need::kNothing, [&]() -> aclError {
    std::lock_guard lock(world().mutex);
    const Chip* other = find_chip(soc ? soc : "");
    if (!other || !compatible) return fail(kInvalidParam, "EH0002", "an unknown chip");
    *compatible = other->name == world().chip().name;
    return kOk;
  });
}

aclError aclrtSetSysParamOpt(int, int64_t) {
  return call_api("aclrtSetSysParamOpt", Need::kInit, [] { return aclError{kOk}; });
}
aclError aclrtCtxSetSysParamOpt(int, int64_t) {
  return call_api("aclrtCtxSetSysParamOpt", Need::kContext, [] { return aclError{kOk}; });
}

aclError aclrtSetExceptionInfoCallback(aclrtExceptionInfoCallback callback) {
  return call_api("aclrtSetExceptionInfoCallback", Need::kInit, [&] {
    std::lock_guard lock(world().mutex);
    world().on_exception = callback;
    return aclError{kOk};
  });
}

namespace {
uint32_t field(const aclrtExceptionInfo* info, int i) {
  return info ? reinterpret_cast<const uint32_t*>(info)[i] : ~0u;
}
}  // namespace

uint32_t aclrtGetTaskIdFromExceptionInfo(const aclrtExceptionInfo* info) { return field(info, 0); }
uint32_t aclrtGetStreamIdFromExceptionInfo(const aclrtExceptionInfo* info) { return field(info, 1); }
uint32_t aclrtGetThreadIdFromExceptionInfo(const aclrtExceptionInfo* info) { return field(info, 2); }
uint32_t aclrtGetDeviceIdFromExceptionInfo(const aclrtExceptionInfo* info) { return field(info, 3); }
uint32_t aclrtGetErrorCodeFromExceptionInfo(const aclrtExceptionInfo* info) { return field(info, 4); }
