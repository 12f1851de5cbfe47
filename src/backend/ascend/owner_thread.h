// A thread that runs what others hand to it, one thing at a time. Whoever hands something over
// waits until it is done.
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

  // Runs `work` on the thread; what it throws is thrown here. When the caller's turn has come,
  // `admit` runs first, on the caller's own thread: what it throws keeps `work` from running. What
  // the thread itself hands over runs at once.
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
