// One chip, with an owner thread that has a context and a stream. AscendCL is called on that thread
// only. After an error that breaks the context the device is unusable: every later call fails at
// once with that error.
#pragma once

#include <chrono>
#include <mutex>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include "backend/ascend/ascend.h"
#include "backend/ascend/errors.h"
#include "backend/ascend/library.h"
#include "backend/ascend/owner_thread.h"

namespace inkstone::ascend {

// methods: 28 allowed: a method for each thing that is asked of AscendCL
class Device {
 public:
  // Opens it, and AscendCL with the process's first device. Throws Error.
  Device(Library library, int index);
  ~Device();
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  const std::string& name() const { return name_; }  // "npu:0"
  // As the chip says: "Ascend910B4". A simulator adds "(simulated)".
  const std::string& soc() const { return soc_; }
  const std::string& cann() const { return cann_; }  // empty: not told
  bool simulated() const { return soc_.find("simulated") != std::string::npos; }
  // This process runs on the chip's own processor, so the chip's memory is the host's.
  bool unified() const { return unified_; }
  // the error that broke it; empty while it works
  std::string unusable() const;

  // Runs `work` on the owner thread and waits; what it throws is thrown here. Throws at once while
  // the device is unusable.
  template <typename Work>
  auto run(Work&& work) {
    using Result = std::invoke_result_t<Work>;
    if constexpr (std::is_void_v<Result>) {
      thread_.run(work, [this] { check_usable(); });
    } else {
      std::optional<Result> result;
      auto keep = [&] { result.emplace(work()); };
      thread_.run(keep, [this] { check_usable(); });
      return std::move(*result);
    }
  }
  // As above, for giving things back: it also runs when the device is unusable, and throws nothing.
  template <typename Work>
  void clean_up(Work&& work) noexcept {
    try {
      thread_.run(work, [] {});
    } catch (...) {
    }
  }

  // All methods below must be called on the owner thread.
  const Api& api() const { return library_.api; }
  Opaque stream() const { return stream_; }
  AscendCounters& counters() { return counters_; }
  // Throws AclError unless the code is 0, with what AscendCL says of it.
  void check(Code code, const char* call, const char* where);
  // for a call that returned nothing
  [[noreturn]] void refuse(const std::string& why, const char* call, const char* where);
  std::byte* reserve(size_t bytes);
  void release(std::byte* memory) noexcept;
  std::byte* reserve_host(size_t bytes);  // pinned
  void release_host(std::byte* memory) noexcept;
  void copy(std::byte* to, const std::byte* from, size_t bytes, CopyKind kind);  // queued
  // Throws what failed since the last time, or if the device does not finish in time.
  void synchronize();
  struct MemoryInfo {
    size_t free = 0, total = 0;
  };
  MemoryInfo memory();

  // While an About exists, errors name its file.
  class About {
   public:
    About(Device& device, std::string file) : device_(device), outer_(std::exchange(device.file_, std::move(file))) {}
    ~About() { device_.file_ = std::move(outer_); }
    About(const About&) = delete;
    About& operator=(const About&) = delete;

   private:
    Device& device_;
    std::string outer_;
  };

 private:
  void check_usable() const;
  void open();
  void open_stream();
  void drop_stream() noexcept;
  void mark_lost(const AclError& error);
  void close() noexcept;

  Library library_;
  int index_;
  std::string name_, soc_, cann_, file_;
  std::chrono::milliseconds timeout_;
  bool unified_ = false, set_ = false, initialised_ = false;
  Opaque context_ = nullptr, stream_ = nullptr;
  AscendCounters counters_;

  mutable std::mutex lost_mutex_;
  std::string lost_;
  Code lost_code_ = 0;
  // The last member, so that it ends before what it works on.
  OwnerThread thread_;
};

// INKSTONE_ACL(device, aclrtFree, memory): one call, checked.
#define INKSTONE_ACL(device, call, ...) (device).check((device).api().call(__VA_ARGS__), #call, INKSTONE_HERE)

}  // namespace inkstone::ascend
