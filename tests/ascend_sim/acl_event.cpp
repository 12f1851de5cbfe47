// Events: a record in a stream passes when what stands before it is done.
#include <chrono>

#include "thread_state.h"
#include "world.h"

using namespace ascend_sim;

namespace {

double now_ms() {
  using namespace std::chrono;
  return duration<double, std::milli>(steady_clock::now().time_since_epoch()).count();
}

aclError create(const char* call, aclrtEvent* event) {
  return call_api(call, Need::kContext, [&] {
    auto made = std::make_unique<Event>();
    std::lock_guard lock(world().mutex);
    *event = made.get();
    world().events[made.get()] = std::move(made);
    return aclError{kOk};
  });
}

Event* find(aclrtEvent handle) {
  const auto event = world().events.find(static_cast<Event*>(handle));
  return event == world().events.end() ? nullptr : event->second.get();
}

aclError unknown() { return breach(kBadHandle, "EE1001", "an event that does not exist, or no longer"); }

bool passed(Event* event, uint64_t record) {
  const auto found = world().events.find(event);
  return found == world().events.end() || found->second->reached >= record;
}

aclError wait(const char* call, aclrtEvent handle, int ms) {
  return call_api(call, Need::kContext, [&]() -> aclError {
    std::unique_lock lock(world().mutex);
    Event* event = find(handle);
    if (!event) return unknown();
    const uint64_t record = event->recorded;
    const auto done = [&] { return passed(event, record); };
    if (ms < 0) return world().event_reached.wait(lock, done), kOk;
    if (world().event_reached.wait_for(lock, std::chrono::milliseconds(ms), done)) return kOk;
    return fail(kEventTimeout, "EE9999", "event synchronize timeout");
  });
}

}  // namespace

aclError aclrtCreateEvent(aclrtEvent* event) { return create("aclrtCreateEvent", event); }
aclError aclrtCreateEventWithFlag(aclrtEvent* event, uint32_t) { return create("aclrtCreateEventWithFlag", event); }
aclError aclrtCreateEventExWithFlag(aclrtEvent* event, uint32_t) { return create("aclrtCreateEventExWithFlag", event); }

aclError aclrtDestroyEvent(aclrtEvent handle) {
  return call_api("aclrtDestroyEvent", Need::kRelease, [&]() -> aclError {
    std::lock_guard lock(world().mutex);
    if (!find(handle)) return unknown();
    world().events.erase(static_cast<Event*>(handle));
    return kOk;
  });
}

aclError aclrtRecordEvent(aclrtEvent handle, aclrtStream stream_handle) {
  return call_api("aclrtRecordEvent", Need::kContext, [&]() -> aclError {
    aclError code;
    Stream* stream = stream_of(stream_handle, code);
    if (!stream) return code;
    std::lock_guard lock(world().mutex);
    Event* event = find(handle);
    if (!event) return unknown();
    const uint64_t record = ++event->recorded;
    stream->push({"aclrtRecordEvent", take_task_outcome(), [=] {
                    std::lock_guard inner(world().mutex);
                    if (world().events.contains(event)) {
                      event->reached = record;
                      event->at_ms = now_ms();
                    }
                    world().event_reached.notify_all();
                    return aclError{kOk};
                  }});
    return kOk;
  });
}

aclError aclrtStreamWaitEvent(aclrtStream stream_handle, aclrtEvent handle) {
  return call_api("aclrtStreamWaitEvent", Need::kContext, [&]() -> aclError {
    aclError code;
    Stream* stream = stream_of(stream_handle, code);
    if (!stream) return code;
    std::lock_guard lock(world().mutex);
    Event* event = find(handle);
    if (!event) return unknown();
    const uint64_t record = event->recorded;
    ++stream->waits;
    stream->push({"aclrtStreamWaitEvent", take_task_outcome(), [=] {
                    std::unique_lock inner(world().mutex);
                    while (!passed(event, record) && !stream->aborting)
                      world().event_reached.wait_for(inner, std::chrono::milliseconds(5));
                    --stream->waits;
                    return aclError{kOk};
                  }});
    return kOk;
  });
}

aclError aclrtResetEvent(aclrtEvent handle, aclrtStream) {
  return call_api("aclrtResetEvent", Need::kContext, [&]() -> aclError {
    std::lock_guard lock(world().mutex);
    Event* event = find(handle);
    if (!event) return unknown();
    event->reached = 0;
    return kOk;
  });
}

aclError aclrtQueryEventStatus(aclrtEvent handle, int* status) {
  return call_api("aclrtQueryEventStatus", Need::kContext, [&]() -> aclError {
    std::lock_guard lock(world().mutex);
    Event* event = find(handle);
    if (!event) return unknown();
    *status = event->reached >= event->recorded;
    return kOk;
  });
}

aclError aclrtSynchronizeEvent(aclrtEvent event) { return wait("aclrtSynchronizeEvent", event, -1); }
aclError aclrtSynchronizeEventWithTimeout(aclrtEvent event, int32_t ms) {
  return wait("aclrtSynchronizeEventWithTimeout", event, ms);
}

aclError aclrtEventElapsedTime(float* ms, aclrtEvent start, aclrtEvent end) {
  return call_api("aclrtEventElapsedTime", Need::kContext, [&]() -> aclError {
    std::lock_guard lock(world().mutex);
    const Event *first = find(start), *last = find(end);
    if (!first || !last) return unknown();
    if (!first->reached || !last->reached) return fail(107006, "EE1001", "an event that has no time yet");
    *ms = static_cast<float>(last->at_ms - first->at_ms);
    return kOk;
  });
}
