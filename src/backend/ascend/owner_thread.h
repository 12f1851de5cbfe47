// A thread that runs work for callers, one piece at a time. A caller waits until its work is done.
#pragma once

#include <condition_variable>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>

namespace inkstone::ascend {

class OwnerThread {
 public:
  OwnerThread();
  ~OwnerThread();  // nobody waits any more
  OwnerThread(const OwnerThread&) = delete;
  OwnerThread& operator=(const OwnerThread&) = delete;

  // Runs `work` on the thread; what it throws is thrown here. When it is the caller's turn, `admit`
  // runs first, on the caller's own thread; if it throws, `work` does not run. Work that the owner
  // thread itself submits runs at once.
  template <typename Work>
  void run(Work& work, const std::function<void()>& admit) {
    Task task{
        [](void* what) { (*static_cast<Work*>(what))(); }, const_cast<void*>(static_cast<const void*>(&work)), {}};
    wait_for(task, admit);
  }

 private:
  struct Task {
    void (*call)(void*);
    void* work;
    std::exception_ptr error;
    bool done = false;
  };
  void wait_for(Task& task, const std::function<void()>& admit);
  void serve();

  std::mutex mutex_;
  std::condition_variable wake_, finished_;
  Task* task_ = nullptr;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace inkstone::ascend
