// Devices and contexts.
#include <algorithm>

#include "thread_state.h"
#include "world.h"

using namespace ascend_sim;

namespace {

aclError check_device(int32_t device) {
  std::lock_guard lock(world().mutex);
  if (device >= 0 && device < world().settings.devices) return kOk;
  return breach(kInvalidDevice, "EE1001",
                "device " + std::to_string(device) + " of " + std::to_string(world().settings.devices));
}

Context* new_context(int device, bool primary) {
  auto context = std::make_unique<Context>();
  context->device = device;
  context->primary = primary;
  Context* result = context.get();
  world().contexts[result] = std::move(context);
  return result;
}

bool exists(Context* context) { return context && world().contexts.contains(context) && context->alive; }

}  // namespace

aclError aclrtGetDeviceCount(uint32_t* count) {
  return call_api("aclrtGetDeviceCount", Need::kInit, [&]() -> aclError {
    std::lock_guard lock(world().mutex);
    if (!count) return fail(kInvalidParam, "EH0002", "no place for the count");
    *count = static_cast<uint32_t>(world().settings.devices);
    return kOk;
  });
}

aclError aclrtSetDevice(int32_t device) {
  return call_api("aclrtSetDevice", Need::kInit, [&]() -> aclError {
    if (const aclError code = check_device(device)) return code;
    std::lock_guard lock(world().mutex);
    Context*& primary = world().primaries[device];
    if (!primary) primary = new_context(device, true);
    ++world().device_uses[device];
    make_current(primary);
    return kOk;
  });
}

aclError aclrtResetDevice(int32_t device) {
  return call_api("aclrtResetDevice", Need::kInit, [&]() -> aclError {
    if (const aclError code = check_device(device)) return code;
    Context* primary = nullptr;
    {
      std::lock_guard lock(world().mutex);
      const auto uses = world().device_uses.find(device);
      if (uses == world().device_uses.end() || uses->second == 0)
        return breach(kInvalidDevice, "EE1001", "aclrtResetDevice without aclrtSetDevice");
      if (--uses->second > 0) return kOk;
      leaks("aclrtResetDevice", device);
      primary = world().primaries.at(device);
    }
    release_context(primary);
    return kOk;
  });
}

aclError aclrtResetDeviceForce(int32_t device) {
  return call_api("aclrtResetDeviceForce", Need::kInit, [&]() -> aclError {
    if (const aclError code = check_device(device)) return code;
    drop_device(device);
    return kOk;
  });
}

aclError aclrtGetDevice(int32_t* device) {
  return call_api("aclrtGetDevice", Need::kContext, [&] {
    *device = current_context()->device;
    return aclError{kOk};
  });
}

aclError aclrtGetRunMode(int* mode) {
  return call_api("aclrtGetRunMode", Need::kContext, [&] {
    *mode = 1;  // a host with a card
    return aclError{kOk};
  });
}

namespace {

aclError synchronize_all(int ms) {
  std::vector<Stream*> streams;
  {
    std::lock_guard lock(world().mutex);
    const int device = current_context()->device;
    for (auto& [key, stream] : world().streams)
      if (stream->context.device == device) streams.push_back(key);
    for (auto& [key, context] : world().contexts)
      if (context->device == device && context->default_stream) streams.push_back(context->default_stream.get());
  }
  for (Stream* stream : streams)
    if (const aclError code = stream->synchronize(ms)) return code;
  return kOk;
}

}  // namespace

aclError aclrtSynchronizeDevice() {
  return call_api("aclrtSynchronizeDevice", Need::kContext, [] { return synchronize_all(-1); });
}
aclError aclrtSynchronizeDeviceWithTimeout(int32_t ms) {
  return call_api("aclrtSynchronizeDeviceWithTimeout", Need::kContext, [&] { return synchronize_all(ms); });
}

aclError aclrtQueryDeviceStatus(int32_t device, int* status) {
  return call_api("aclrtQueryDeviceStatus", Need::kNothing, [&]() -> aclError {
    if (const aclError code = check_device(device)) return code;
    std::lock_guard lock(world().mutex);
    const bool broken = std::ranges::any_of(
        world().contexts, [&](auto& c) { return c.second->alive && c.second->device == device && c.second->broken; });
    *status = world().lost || broken;
    return kOk;
  });
}

aclError aclrtGetDeviceUtilizationRate(int32_t device, aclrtUtilizationInfo* info) {
  return call_api("aclrtGetDeviceUtilizationRate", Need::kInit, [&]() -> aclError {
    if (const aclError code = check_device(device)) return code;
    std::lock_guard lock(world().mutex);
    const bool busy = std::ranges::any_of(world().models, [](auto& m) { return m.second->running > 0; });
    *info = {busy ? 100 : 0, world().chip().vector_cores ? (busy ? 60 : 0) : -1, 0, -1, nullptr};
    return kOk;
  });
}

aclError aclrtCreateContext(aclrtContext* context, int32_t device) {
  return call_api("aclrtCreateContext", Need::kInit, [&]() -> aclError {
    if (const aclError code = check_device(device)) return code;
    std::lock_guard lock(world().mutex);
    Context* made = new_context(device, false);
    make_current(made);
    *context = made;
    return kOk;
  });
}

aclError aclrtDestroyContext(aclrtContext handle) {
  return call_api("aclrtDestroyContext", Need::kInit, [&]() -> aclError {
    auto* context = static_cast<Context*>(handle);
    {
      std::lock_guard lock(world().mutex);
      if (!exists(context))
        return breach(kNoContext, "EE1001", "a context destroyed that does not exist, or no longer");
      if (context->primary)
        return breach(kInvalidParam, "EE1001", "the default context is destroyed by aclrtResetDevice");
      const auto inside =
          std::ranges::count_if(world().streams, [&](auto& s) { return &s.second->context == context; });
      if (inside) world().violation(std::to_string(inside) + " stream(s) left at aclrtDestroyContext");
      const auto models = std::ranges::count_if(world().models, [&](auto& m) { return m.second->context == context; });
      if (models) world().violation(std::to_string(models) + " model(s) left at aclrtDestroyContext");
    }
    release_context(context);
    return kOk;
  });
}

aclError aclrtSetCurrentContext(aclrtContext handle) {
  return call_api("aclrtSetCurrentContext", Need::kInit, [&]() -> aclError {
    std::lock_guard lock(world().mutex);
    auto* context = static_cast<Context*>(handle);
    if (!exists(context))
      return breach(kNoContext, "EE1001", "a context made current that does not exist, or no longer");
    make_current(context);
    return kOk;
  });
}

aclError aclrtGetCurrentContext(aclrtContext* context) {
  return call_api("aclrtGetCurrentContext", Need::kInit, [&]() -> aclError {
    if (!current_context()) return fail(kNoContext, "EE1001", "the context is a null pointer");
    *context = current_context();
    return kOk;
  });
}

aclError aclrtDeviceCanAccessPeer(int32_t* can, int32_t device, int32_t peer) {
  return call_api("aclrtDeviceCanAccessPeer", Need::kInit, [&]() -> aclError {
    if (const aclError code = check_device(device)) return code;
    if (const aclError code = check_device(peer)) return code;
    *can = 0;
    return kOk;
  });
}
aclError aclrtDeviceEnablePeerAccess(int32_t, uint32_t) {
  return call_api("aclrtDeviceEnablePeerAccess", Need::kContext,
                  [] { return fail(kNotSupported, "EE1001", "peer access is not simulated"); });
}
aclError aclrtDeviceDisablePeerAccess(int32_t) {
  return call_api("aclrtDeviceDisablePeerAccess", Need::kContext,
                  [] { return fail(kNotSupported, "EE1001", "peer access is not simulated"); });
}

aclError aclrtSetOpExecuteTimeOut(uint32_t seconds) {
  return call_api("aclrtSetOpExecuteTimeOut", Need::kContext, [&] {
    std::lock_guard lock(world().mutex);
    world().op_timeout_s = seconds;
    return aclError{kOk};
  });
}
