#include "world.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>

#include "thread_state.h"

namespace ascend_sim {
namespace {

// of new memory that is filled, so that nobody takes it for zeros
constexpr size_t kDirty = 16 << 20;
constexpr size_t kHugePage = 2 << 20, kPage = 4096;

bool queues(const std::string& call) {
  return call.find("Async") != std::string::npos || call == "aclrtLaunchHostFunc";
}

size_t charged(size_t size) {
  const size_t page = size > (1u << 20) ? kHugePage : kPage;
  return (size + page - 1) / page * page;
}

// Waits as a call that never ends does: until the operator timeout, or until all is reset by force.
aclError hang(const char* call) {
  const uint64_t generation = thread_state().hang_generation.load();
  const auto start = std::chrono::steady_clock::now();
  const bool executes = std::string(call).starts_with("aclmdlExecute");
  while (generation == thread_state().hang_generation.load()) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    std::unique_lock lock(world().mutex);
    if (!executes || std::chrono::steady_clock::now() - start < std::chrono::seconds(world().op_timeout_s)) continue;
    return kAicoreTimeout;
  }
  return kAborted;
}

}  // namespace

World& world() {
  static World& one = *new World{};  // never destroyed: threads may outlive main
  static const bool set = [] {
    one.settings = Settings::from_environment();
    std::atexit(write_report);
    return true;
  }();
  (void)set;
  return one;
}

ThreadState& thread_state() {
  thread_local ThreadState state;
  return state;
}
std::atomic<uint64_t> ThreadState::hang_generation{0};

bool is_fatal(aclError code) {
  return (code >= 507014 && code <= 507018) || (code >= 507034 && code <= 507036) ||
         (code >= 507048 && code <= 507050) || code == 507053 || code == 507054 || code == kLostHeartbeat ||
         code == 507901;
}

aclError fail(aclError code, const std::string& key, const std::string& text) {
  if (code == kOk) return code;
  thread_state().message = key + ": [PID: " + std::to_string(getpid()) + "] [simulated] " + text + "\n";
  return code;
}

aclError breach(aclError code, const std::string& key, const std::string& text) {
  world().violation(text);
  return fail(code, key, text);
}

Context* current_context() {
  Context* context = thread_state().context;
  return context && context->alive ? context : nullptr;
}
void make_current(Context* context) { thread_state().context = context; }
Outcome take_task_outcome() { return std::exchange(thread_state().outcome, {}); }

aclError enter(const char* call, Need need) {
  World& w = world();
  Outcome outcome;
  bool lost, initialized;
  {
    std::lock_guard lock(w.mutex);
    ++w.report.calls[call];
    outcome = outcome_of(w.settings, call);
    lost = w.lost;
    initialized = w.initialized;
  }
  thread_state().outcome = {};
  if (queues(call) && (outcome.code == 0 || outcome.code >= 500000)) {
    thread_state().outcome = outcome;
    outcome = {};
  }
  if (outcome.delay_ms) std::this_thread::sleep_for(std::chrono::milliseconds(outcome.delay_ms));
  if (need == Need::kNothing && !outcome.code) return kOk;
  if (!initialized && need != Need::kNothing) {
    std::lock_guard lock(w.mutex);
    return breach(kUninitialized, "EH9999", std::string(call) + " before aclInit");
  }
  const bool releases = need == Need::kRelease;
  if (lost && !releases && need != Need::kNothing)
    return fail(kLostHeartbeat, "EL9999", std::string(call) + ": the device lost its heartbeat");
  Context* context = current_context();
  if ((need == Need::kContext || releases) && !context) {
    std::lock_guard lock(w.mutex);
    return breach(kNoContext, "EE1001", std::string(call) + ": the context of this thread is a null pointer");
  }
  const bool waits = std::string(call).starts_with("aclrtSynchronize");  // tells what broke it
  if (need == Need::kContext && context->broken && !waits)
    return fail(context->broken, "EE9999", std::string(call) + ": the context is broken by an earlier fatal error");
  if (outcome.hangs) outcome.code = hang(call);
  if (!outcome.code) return kOk;
  if (is_fatal(outcome.code) && context) context->broken = outcome.code;
  return fail(outcome.code, outcome.code == kNoMemory ? "EL0004" : "EZ9999",
              std::string(call) + (outcome.code == kNoMemory ? ": Failed to allocate memory." : ": a fault asked for"));
}

aclError leave(const char* call, aclError code) {
  if (code == kOk) return code;
  ThreadState& state = thread_state();
  state.last_error = code;
  if (state.message.empty()) fail(code, "EE9999", std::string(call) + " failed");
  return code;
}

uint64_t World::total_memory() const {
  return settings.memory_bytes ? settings.memory_bytes : static_cast<uint64_t>(chip().memory_mb) << 20;
}

Block* World::find(const void* address, size_t size, uintptr_t* start) {
  const auto at = reinterpret_cast<uintptr_t>(address);
  auto block = device_memory.upper_bound(at);
  if (block == device_memory.begin()) return nullptr;
  --block;
  if (at + size > block->first + block->second.room || at >= block->first + block->second.room) return nullptr;
  if (start) *start = block->first;
  return &block->second;
}

std::byte* World::bytes_at(const void* address) {
  uintptr_t start = 0;
  Block* block = find(address, 0, &start);
  return block ? block->bytes + (reinterpret_cast<uintptr_t>(address) - start) : nullptr;
}

bool World::is_pinned(const void* address, size_t size) const {
  const auto at = reinterpret_cast<uintptr_t>(address);
  auto block = pinned.upper_bound(at);
  if (block == pinned.begin()) return false;
  --block;
  return at + size <= block->first + block->second;
}

bool World::is_device(const void* address) const {
  const auto at = reinterpret_cast<uintptr_t>(address);
  const auto inside = [&](const auto& map, auto size_of) {
    auto block = map.upper_bound(at);
    return block != map.begin() && at < std::prev(block)->first + size_of(std::prev(block)->second);
  };
  return inside(device_memory, [](const Block& b) { return b.room; }) || inside(freed, [](size_t n) { return n; });
}

aclError World::allocate(void** address, size_t size, int device, bool of_model) {
  const size_t room = (size + 31) / 32 * 32 + 32;
  if (report.live_bytes + charged(size) > total_memory())
    return fail(kNoMemory, "EL0004",
                "Failed to allocate memory. Possible Cause: Available memory is insufficient. (" +
                    std::to_string(size) + " bytes wanted, " + std::to_string(total_memory() - report.live_bytes) +
                    " of " + std::to_string(total_memory()) + " free)");
  const size_t span = (room + 64 + kPage - 1) / kPage * kPage;
  void* hidden = mmap(nullptr, span, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  void* bytes = mmap(nullptr, span, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (hidden == MAP_FAILED || bytes == MAP_FAILED) return fail(kNoMemory, "EL0004", "the host has no memory left");
  std::memset(bytes, 0xFF, std::min(span, kDirty));
  // aligned to 64 and to no more
  const uintptr_t at = reinterpret_cast<uintptr_t>(hidden) + 64;
  device_memory[at] = {size, room, device, static_cast<std::byte*>(bytes), 0, of_model};
  freed.erase(at);
  ++report.allocations;
  report.allocated_bytes += size;
  report.live_bytes += charged(size);
  report.peak_bytes = std::max(report.peak_bytes, report.live_bytes);
  *address = reinterpret_cast<void*>(at);
  return kOk;
}

// The address is never used again, so that later use is seen.
aclError World::free(uintptr_t address) {
  const auto block = device_memory.find(address);
  if (block == device_memory.end()) {
    const bool once = freed.contains(address);
    return breach(kFreeFailed, "EE1003", once ? "device memory freed twice" : "aclrtFree of what is no device memory");
  }
  if (block->second.users) violation("device memory freed while a task uses it");
  if (!block->second.users) munmap(block->second.bytes, (block->second.room + 64 + kPage - 1) / kPage * kPage);
  madvise(reinterpret_cast<void*>(address - 64), block->second.room + 64, MADV_DONTNEED);
  report.live_bytes -= charged(block->second.size);
  freed[address] = block->second.room;
  device_memory.erase(block);
  return kOk;
}

Use::Use(const std::vector<const void*>& addresses) {
  for (const void* address : addresses) {
    uintptr_t start = 0;
    Block* block = world().find(address, 0, &start);
    if (!block) continue;
    ++block->users;
    blocks_.push_back(start);
  }
}

Use::~Use() {
  std::lock_guard lock(world().mutex);
  for (const uintptr_t start : blocks_)
    if (const auto block = world().device_memory.find(start); block != world().device_memory.end())
      --block->second.users;
}

Stream* stream_of(aclrtStream handle, aclError& code) {
  World& w = world();
  std::lock_guard lock(w.mutex);
  Context* context = current_context();
  code = kOk;
  if (!handle) {
    if (!context->default_stream) context->default_stream = std::make_unique<Stream>(*context);
    return context->default_stream.get();
  }
  auto* stream = static_cast<Stream*>(handle);
  if (!w.streams.contains(stream)) {
    code = breach(kStreamContext, "EE1010", "a stream that does not exist, or no longer");
    return nullptr;
  }
  if (&stream->context != context) {
    code = breach(kStreamContext, "EE1010", "a stream that is not in the current context");
    return nullptr;
  }
  return stream;
}

void release_context(Context* context) {
  World& w = world();
  std::vector<std::unique_ptr<Stream>> gone;
  {
    std::lock_guard lock(w.mutex);
    for (auto stream = w.streams.begin(); stream != w.streams.end();) {
      const auto next = std::next(stream);
      if (&stream->second->context == context) {
        gone.push_back(std::move(stream->second));
        w.streams.erase(stream);
      }
      stream = next;
    }
    if (context->default_stream) gone.push_back(std::move(context->default_stream));
    context->alive = false;
    if (context->primary) w.primaries.erase(context->device);
  }
  // waits for their threads, which may take the lock
  gone.clear();
}

void leaks(const char* where, int device) {
  World& w = world();
  const auto count = [&](size_t n, const char* what) {
    if (n) w.violation(std::to_string(n) + " " + what + " left at " + where);
  };
  const auto here = [&](int other) { return device < 0 || other == device; };
  count(std::ranges::count_if(w.device_memory, [&](auto& b) { return here(b.second.device) && !b.second.of_model; }),
        "device allocation(s)");
  count(std::ranges::count_if(w.models, [&](auto& m) { return here(m.second->context->device); }), "model(s)");
  count(std::ranges::count_if(w.streams, [&](auto& s) { return here(s.second->context.device); }), "stream(s)");
  const auto own = [&](auto& c) { return c.second->alive && !c.second->primary && here(c.second->device); };
  count(std::ranges::count_if(w.contexts, own), "context(s)");
  if (device >= 0) return;
  count(w.events.size(), "event(s)");
  count(w.pinned.size(), "pinned host allocation(s)");
  const char* names[] = {"description(s)", "dataset(s)", "data buffer(s)", "load configuration(s)",
                         "tensor description(s)"};
  for (size_t kind = 0; kind < std::size(names); ++kind) count(w.handles[kind].size(), names[kind]);
}

void drop_device(int device) {
  World& w = world();
  ++ThreadState::hang_generation;
  std::vector<Context*> contexts;
  {
    std::lock_guard lock(w.mutex);
    for (auto& [key, context] : w.contexts)
      if (context->alive && (device < 0 || context->device == device)) {
        contexts.push_back(key);
        if (context->default_stream) context->default_stream->abort();
      }
    for (auto& [key, stream] : w.streams)
      if (device < 0 || stream->context.device == device) stream->abort();
  }
  for (Context* context : contexts) release_context(context);
  std::lock_guard lock(w.mutex);
  std::erase_if(w.models, [&](auto& m) { return device < 0 || m.second->context->device == device; });
  std::vector<uintptr_t> blocks;
  for (const auto& [at, block] : w.device_memory)
    if (device < 0 || block.device == device) blocks.push_back(at);
  for (const uintptr_t at : blocks) w.free(at);
  w.device_uses.erase(device);
}

bool is_handle(Kind kind, const void* handle) {
  std::lock_guard lock(world().mutex);
  return world().handles[kind].contains(handle);
}

bool drop_handle(Kind kind, const void* handle) {
  std::lock_guard lock(world().mutex);
  if (world().handles[kind].erase(handle)) return true;
  world().violation("a handle destroyed that does not exist, or no longer");
  return false;
}

}  // namespace ascend_sim
