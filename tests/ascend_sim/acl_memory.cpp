// Memory and copies. Device addresses cannot be read by the host; every range is checked.
#include <cstdlib>
#include <cstring>

#include "thread_state.h"
#include "world.h"

using namespace ascend_sim;

namespace {

enum CopyKind { kHostToHost, kHostToDevice, kDeviceToHost, kDeviceToDevice, kDefault };
const char* const kCopyNames[] = {"h2h", "h2d", "d2h", "d2d"};

aclError allocate(const char* call, void** device, size_t size) {
  return call_api(call, Need::kContext, [&]() -> aclError {
    std::lock_guard lock(world().mutex);
    if (!device || size == 0)
      return breach(kInvalidParam, "EH0002", "device memory of 0 bytes, or no place for the address");
    return world().allocate(device, size, current_context()->device, false);
  });
}

// One side of a copy: the bytes behind it. With the lock held.
aclError side(const void* address, size_t size, bool device, const char* what, std::byte*& bytes) {
  World& w = world();
  if (!address) return breach(kInvalidParam, "EE1001", std::string(what) + " is a null pointer");
  if (!device) {
    if (w.is_device(address))
      return breach(kInvalidParam, "EE1001", std::string(what) + " is device memory where the host's is wanted");
    bytes = static_cast<std::byte*>(const_cast<void*>(address));
    return kOk;
  }
  if (!w.find(address, size)) {
    if (!w.is_device(address))
      return breach(kInvalidParam, "EE1001", std::string(what) + " is host memory where the device's is wanted");
    return breach(kInvalidParam, "EE1001", std::string(what) + " reaches past its device memory, or that was freed");
  }
  bytes = w.bytes_at(address);
  return kOk;
}

struct Copy {
  std::byte *to = nullptr, *from = nullptr;
  int kind = 0;
};

aclError prepare(void* to, size_t room, const void* from, size_t size, int kind, Copy& copy) {
  World& w = world();
  if (kind < 0 || kind > kDefault) return fail(kInvalidParam, "EE1001", "a copy of a kind that is not simulated");
  if (size > room)
    return breach(kInvalidParam, "EE1001", "a copy of " + std::to_string(size) + " bytes into " + std::to_string(room));
  if (kind == kDefault) kind = 2 * w.is_device(from) + w.is_device(to);
  copy.kind = kind;
  if (const aclError code = side(to, size, kind & 1, "the target of a copy", copy.to)) return code;
  if (const aclError code = side(from, size, kind & 2, "the source of a copy", copy.from)) return code;
  if ((kind & 1) && !w.find(to, room)) w.violation("a copy's room reaches past the device memory");
  auto& [count, bytes] = w.report.copies[kCopyNames[kind]];
  ++count;
  bytes += size;
  return kOk;
}

}  // namespace

aclError aclrtMalloc(void** device, size_t size, int) { return allocate("aclrtMalloc", device, size); }
aclError aclrtMallocAlign32(void** device, size_t size, int) { return allocate("aclrtMallocAlign32", device, size); }
aclError aclrtMallocCached(void** device, size_t size, int) { return allocate("aclrtMallocCached", device, size); }

aclError aclrtFree(void* device) {
  return call_api("aclrtFree", Need::kRelease, [&]() -> aclError {
    std::lock_guard lock(world().mutex);
    const auto block = world().device_memory.find(reinterpret_cast<uintptr_t>(device));
    if (block != world().device_memory.end() && block->second.of_model)
      return breach(kFreeFailed, "EE1003", "aclrtFree of a model's own memory");
    return world().free(reinterpret_cast<uintptr_t>(device));
  });
}

aclError aclrtMallocHost(void** host, size_t size) {
  return call_api("aclrtMallocHost", Need::kContext, [&]() -> aclError {
    std::lock_guard lock(world().mutex);
    if (!host || size == 0)
      return breach(kInvalidParam, "EH0002", "host memory of 0 bytes, or no place for the address");
    *host = std::aligned_alloc(64, (size + 63) / 64 * 64);
    if (!*host) return fail(kNoMemory, "EL0004", "the host has no memory left");
    world().pinned[reinterpret_cast<uintptr_t>(*host)] = size;
    return kOk;
  });
}

aclError aclrtFreeHost(void* host) {
  return call_api("aclrtFreeHost", Need::kInit, [&]() -> aclError {
    std::lock_guard lock(world().mutex);
    if (!world().pinned.erase(reinterpret_cast<uintptr_t>(host)))
      return breach(kFreeFailed, "EE1003", "aclrtFreeHost of what aclrtMallocHost did not give, or twice");
    std::free(host);
    return kOk;
  });
}

aclError aclrtMemcpy(void* to, size_t room, const void* from, size_t size, int kind) {
  return call_api("aclrtMemcpy", Need::kContext, [&]() -> aclError {
    std::lock_guard lock(world().mutex);
    Copy copy;
    if (const aclError code = prepare(to, room, from, size, kind, copy)) return code;
    std::memmove(copy.to, copy.from, size);
    return kOk;
  });
}

aclError aclrtMemcpyAsync(void* to, size_t room, const void* from, size_t size, int kind, aclrtStream handle) {
  return call_api("aclrtMemcpyAsync", Need::kContext, [&]() -> aclError {
    aclError code;
    Stream* stream = stream_of(handle, code);
    if (!stream) return code;
    Copy copy;
    bool pageable;
    std::shared_ptr<Use> use;
    {
      std::lock_guard lock(world().mutex);
      if ((code = prepare(to, room, from, size, kind, copy))) return code;
      if (copy.kind == kHostToHost) return breach(kNotSupported, "EE1001", "an asynchronous copy from host to host");
      const void* host = copy.kind == kHostToDevice ? from : to;
      pageable = copy.kind != kDeviceToDevice && !world().is_pinned(host, size);
      if (pageable) world().violation("pageable async copy");
      std::vector<const void*> used;
      if (copy.kind & 1) used.push_back(to);
      if (copy.kind & 2) used.push_back(from);
      use = std::make_shared<Use>(used);
    }
    stream->push({"aclrtMemcpyAsync", take_task_outcome(), [copy, size, use] {
                    std::memmove(copy.to, copy.from, size);
                    return aclError{kOk};
                  }});
    use.reset();
    return pageable ? stream->synchronize(-1) : kOk;
  });
}

namespace {

aclError fill(void* device, size_t room, size_t size, std::byte*& bytes) {
  if (size > room) return breach(kInvalidParam, "EE1001", "a memset of more than there is room");
  return side(device, size, true, "the target of a memset", bytes);
}

}  // namespace

aclError aclrtMemset(void* device, size_t room, int32_t value, size_t size) {
  return call_api("aclrtMemset", Need::kContext, [&]() -> aclError {
    std::lock_guard lock(world().mutex);
    std::byte* bytes = nullptr;
    if (const aclError code = fill(device, room, size, bytes)) return code;
    std::memset(bytes, value, size);
    return kOk;
  });
}

aclError aclrtMemsetAsync(void* device, size_t room, int32_t value, size_t size, aclrtStream handle) {
  return call_api("aclrtMemsetAsync", Need::kContext, [&]() -> aclError {
    aclError code;
    Stream* stream = stream_of(handle, code);
    if (!stream) return code;
    std::byte* bytes = nullptr;
    std::shared_ptr<Use> use;
    {
      std::lock_guard lock(world().mutex);
      if ((code = fill(device, room, size, bytes))) return code;
      use = std::make_shared<Use>(std::vector<const void*>{device});
    }
    stream->push({"aclrtMemsetAsync", take_task_outcome(), [=] {
                    std::memset(bytes, value, size);
                    return aclError{kOk};
                  }});
    return kOk;
  });
}

aclError aclrtGetMemInfo(int kind, size_t* free, size_t* total) {
  return call_api("aclrtGetMemInfo", Need::kContext, [&]() -> aclError {
    std::lock_guard lock(world().mutex);
    if (kind < 0 || kind > 17 || !free || !total) return fail(kInvalidParam, "EH0002", "no such kind of memory");
    *total = world().total_memory();
    *free = *total - std::min<size_t>(*total, world().report.live_bytes);
    return kOk;
  });
}
