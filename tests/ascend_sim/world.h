// Everything the simulated library knows, and what each call goes through: counting, faults, the
// rules of docs/ascend.md.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "acl.h"
#include "chips.h"
#include "om_file.h"
#include "settings.h"

namespace ascend_sim {

enum Code : aclError {
  kOk = 0,
  kInvalidParam = 100000,
  kUninitialized = 100001,
  kRepeatInitialize = 100002,
  kNotDynamic = 100019,
  kRepeatFinalize = 100037,
  kInvalidDevice = 107001,
  kNoContext = 107002,
  kStreamContext = 107003,
  kModelContext = 107004,
  kUnaligned = 107008,
  kBadHandle = 107017,
  kWaitTimeout = 107019,
  kAborted = 107023,
  kBadGe = 145000,
  kModelPath = 145002,
  kModelId = 145003,
  kDataSize = 145006,
  kDataAddress = 145007,
  kDynamicInput = 145011,
  kDynamicLength = 145012,
  kDynamicBatch = 145013,
  kNoMemory = 207001,
  kFreeFailed = 207002,
  kNotSupported = 207000,
  kLostHeartbeat = 507010,
  kModelExecute = 507011,
  kAicoreTimeout = 507014,
  kAicoreException = 507015,
  kStreamTimeout = 507046,
  kEventTimeout = 507047,
  kLoadModel = 545001,
  kUnloadModel = 545009,
};
// the context is broken from here on
bool is_fatal(aclError code);

struct Stream;

struct Context {
  int device = 0;
  bool primary = false, alive = true;
  std::atomic<aclError> broken{0};
  std::unique_ptr<Stream> default_stream;
};

struct Event {
  // how often asked for, how often passed
  uint64_t recorded = 0, reached = 0;
  double at_ms = 0;
};

struct Task {
  const char* call;
  Outcome outcome;
  std::function<aclError()> work;
};

// A queue and the thread that works it off.
struct Stream {
  explicit Stream(Context& owner);
  ~Stream();
  void push(Task task);
  // of what failed since the last time; -1: for ever
  aclError synchronize(int timeout_ms);
  bool idle();
  // what waits is dropped, what hangs ends
  void abort();

  Context& context;
  int id;
  std::atomic<bool> stop_on_failure{false}, aborting{false};
  std::atomic<int> waits{0};  // for events, in the queue

 private:
  void work();
  aclError run(const Task& task);

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Task> tasks_;
  bool busy_ = false, closing_ = false;
  aclError failed_ = 0;
  const char* failed_call_ = "";
  std::thread thread_;
};

// of device memory: an address that the host cannot touch, and the bytes behind it
struct Block {
  // asked for, usable (size up to 32, and 32 more)
  size_t size = 0, room = 0;
  int device = 0;
  std::byte* bytes = nullptr;
  int users = 0;  // tasks that wait or run
  bool of_model = false;
};

struct Model {
  uint32_t id = 0;
  Context* context = nullptr;
  OmInfo info;
  onnx::ModelProto proto;
  std::vector<std::vector<Shape>> output_shapes;  // of each gear
  uintptr_t work = 0, weight = 0;
  bool owns_work = false, owns_weight = false;
  int queued = 0, running = 0;
  const Stream* queue = nullptr;  // where it is queued
  size_t gear = 0;                // of the last run
};

struct Report {
  std::map<std::string, uint64_t> calls, violations;
  std::map<std::string, std::pair<uint64_t, uint64_t>> copies;  // count, bytes
  uint64_t allocations = 0, allocated_bytes = 0, live_bytes = 0, peak_bytes = 0, executions = 0;
  std::vector<uint64_t> allocations_before;  // each execution
};

struct World {
  std::mutex mutex;
  Settings settings;
  bool initialized = false, lost = false;
  std::map<int, int> device_uses;  // aclrtSetDevice less aclrtResetDevice
  std::map<int, Context*> primaries;
  std::map<Context*, std::unique_ptr<Context>> contexts;
  std::map<Stream*, std::unique_ptr<Stream>> streams;
  std::map<Event*, std::unique_ptr<Event>> events;
  std::condition_variable event_reached;
  std::map<uintptr_t, Block> device_memory;
  std::map<uintptr_t, size_t> freed;  // device addresses of the past
  std::map<uintptr_t, size_t> pinned;
  std::map<uint32_t, std::unique_ptr<Model>> models;
  uint32_t next_model = 1;
  std::map<const void*, void (*)(const void*)> handles[5];  // by Kind; how each is deleted
  uint32_t op_timeout_s = 1091;
  aclrtExceptionInfoCallback on_exception = nullptr;
  Report report;

  const Chip& chip() const { return *find_chip(settings.soc); }
  uint64_t total_memory() const;
  void violation(const std::string& what) { ++report.violations[what]; }

  // The block that holds [address, address + size), or null. With the mutex held, like all below.
  Block* find(const void* address, size_t size, uintptr_t* start = nullptr);
  std::byte* bytes_at(const void* address);  // of a block's inside
  bool is_pinned(const void* address, size_t size) const;
  bool is_device(const void* address) const;  // now or once
  aclError allocate(void** address, size_t size, int device, bool of_model);
  aclError free(uintptr_t address);
};

enum Kind { kDesc, kDataset, kDataBuffer, kConfig, kTensorDesc };

World& world();

enum class Need {
  kNothing,
  kInit,
  kContext,
  kRelease
};  // kRelease: a context, but a broken one or a lost device will do

// An error with its text for aclGetRecentErrMsg; `key` is like "EE1001".
aclError fail(aclError code, const std::string& key, const std::string& text);
aclError breach(aclError code, const std::string& key, const std::string& text);  // and counted as a violation

Context* current_context();
void make_current(Context* context);
// what is to happen to the work that the call queues
Outcome take_task_outcome();

// Counts, waits, fails on demand, checks what the call needs; then the body, without the lock.
aclError enter(const char* call, Need need);
aclError leave(const char* call, aclError code);
template <class Body>
aclError call_api(const char* call, Need need, Body body) {
  const aclError refused = enter(call, need);
  return leave(call, refused ? refused : body());
}

// of the current context; null handle: its default stream
Stream* stream_of(aclrtStream handle, aclError& code);
void release_context(Context* context);     // its streams too
void leaks(const char* where, int device);  // what is left is counted
void drop_device(int device);               // by force
std::string report_json();
void write_report();

// Keeps blocks from being freed unseen while a task uses them. Made with the mutex held, gone
// without.
class Use {
 public:
  explicit Use(const std::vector<const void*>& addresses);
  ~Use();
  Use(const Use&) = delete;
  Use& operator=(const Use&) = delete;

 private:
  std::vector<uintptr_t> blocks_;
};

// Handles that are plain memory: counted, and known to be alive.
template <class T>
T* keep_handle(Kind kind, T* handle) {
  std::lock_guard lock(world().mutex);
  world().handles[kind][handle] = [](const void* gone) { delete static_cast<const T*>(gone); };
  return handle;
}
bool is_handle(Kind kind, const void* handle);
bool drop_handle(Kind kind, const void* handle);  // false: it is none (a breach)

}  // namespace ascend_sim
