#include <chrono>

#include "thread_state.h"
#include "world.h"

namespace ascend_sim {
namespace {

std::atomic<int> next_id{0};

void wait_ms(int ms) { std::this_thread::sleep_for(std::chrono::milliseconds(ms)); }

}  // namespace

Stream::Stream(Context& owner) : context(owner), id(next_id++), thread_([this] { work(); }) {}

Stream::~Stream() {
  {
    std::lock_guard lock(mutex_);
    closing_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void Stream::push(Task task) {
  {
    std::lock_guard lock(mutex_);
    tasks_.push_back(std::move(task));
  }
  changed_.notify_all();
}

bool Stream::idle() {
  std::lock_guard lock(mutex_);
  return tasks_.empty() && !busy_;
}

void Stream::abort() {
  std::lock_guard lock(mutex_);
  aborting = busy_ || !tasks_.empty();
}

aclError Stream::synchronize(int timeout_ms) {
  std::unique_lock lock(mutex_);
  const auto done = [&] { return tasks_.empty() && !busy_; };
  if (timeout_ms < 0)
    changed_.wait(lock, done);
  else if (!changed_.wait_for(lock, std::chrono::milliseconds(timeout_ms), done))
    return fail(kStreamTimeout, "EE9999", "stream synchronize timeout after " + std::to_string(timeout_ms) + " ms");
  const aclError code = failed_;
  if (!stop_on_failure && !is_fatal(code)) failed_ = 0;
  if (code == kAicoreException)
    return fail(code, "EZ9999",
                "The error from device(chipId:0, dieId:0), serial number is 1, there is an exception of aivec error, "
                "core id is 0, error code = 0x800000, in " +
                    std::string(failed_call_));
  if (code == kAicoreTimeout)
    return fail(code, "EZ9999", std::string("aicore timeout: timeout or trap error, in ") + failed_call_);
  return fail(code, "EE9999", std::string("a task of ") + failed_call_ + " failed");
}

aclError Stream::run(const Task& task) {
  const auto start = std::chrono::steady_clock::now();
  while (std::chrono::steady_clock::now() - start < std::chrono::milliseconds(task.outcome.delay_ms) && !aborting)
    wait_ms(1);
  const uint32_t timeout_s = [] {
    std::lock_guard lock(world().mutex);
    return world().op_timeout_s;
  }();
  while (task.outcome.hangs && !aborting) {
    if (std::chrono::steady_clock::now() - start > std::chrono::seconds(timeout_s)) return kAicoreTimeout;
    wait_ms(1);
  }
  if (aborting) return kAborted;
  return task.outcome.code ? task.outcome.code : task.work();
}

void Stream::work() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [&] { return closing_ || !tasks_.empty(); });
    if (tasks_.empty()) return;
    busy_ = true;
    const bool skip = aborting || is_fatal(context.broken) || (stop_on_failure && failed_);
    aclError code = kOk;
    const char* call = tasks_.front().call;
    {
      const Task task = std::move(tasks_.front());
      tasks_.pop_front();
      lock.unlock();
      if (!skip) code = run(task);
    }  // what the task holds is let go before anyone hears that it is done
    if (is_fatal(code)) {
      context.broken = code;
      aclrtExceptionInfoCallback callback;
      {
        std::lock_guard world_lock(world().mutex);
        callback = world().on_exception;
        if (code == kLostHeartbeat) world().lost = true;
      }
      const uint32_t info[] = {1, static_cast<uint32_t>(id), 0, static_cast<uint32_t>(context.device),
                               static_cast<uint32_t>(code)};
      if (callback) callback(reinterpret_cast<aclrtExceptionInfo*>(const_cast<uint32_t*>(info)));
    }
    lock.lock();
    if (code && !failed_) failed_ = code, failed_call_ = call;
    busy_ = false;
    if (aborting && tasks_.empty() && !closing_) aborting = false;
    changed_.notify_all();
  }
}

}  // namespace ascend_sim
