#include "backend/ascend/owner_thread.h"

namespace inkstone::ascend {

OwnerThread::OwnerThread() {
  thread_ = std::thread([this] { serve(); });
}

OwnerThread::~OwnerThread() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

void OwnerThread::serve() {
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return stopping_ || (task_ && !task_->done); });
    if (!task_ || task_->done) return;
    Task& task = *task_;
    lock.unlock();
    try {
      task.call(task.work);
    } catch (...) {
      task.error = std::current_exception();
    }
    lock.lock();
    task.done = true;
    finished_.notify_all();
  }
}

void OwnerThread::wait_for(Task& task, const std::function<void()>& admit) {
  if (std::this_thread::get_id() == thread_.get_id()) return task.call(task.work);
  {
    std::unique_lock lock(mutex_);
    finished_.wait(lock, [this] { return !task_; });  // another caller's task
    admit();
    task_ = &task;
    wake_.notify_all();
    finished_.wait(lock, [&] { return task.done; });
    task_ = nullptr;
  }
  finished_.notify_all();
  if (task.error) std::rethrow_exception(task.error);
}

}  // namespace inkstone::ascend
