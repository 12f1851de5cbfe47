// Which models are loaded. They share one work buffer, for they run one at a time; where the
// device's memory is short, idle ones leave first, then those used longest ago. All of it on
// the device's owner thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "backend/ascend/om_model.h"

namespace inkstone::ascend {

class Residency {
 public:
  // `give_room` frees what else the backend holds and does not use; whether it had any.
  Residency(Device& device, std::function<bool()> give_room) : device_(device), give_room_(std::move(give_room)) {}
  ~Residency();
  Residency(const Residency&) = delete;
  Residency& operator=(const Residency&) = delete;

  // The model of a file, one for all its gears, and one user more.
  OmModel& open(const std::filesystem::path& path, const GraphRecord& record);
  void close(OmModel& model) noexcept;
  // Ready to run. Throws AclError with what was asked for and what there is, where it does not fit
  // even alone.
  void load(OmModel& model);
  void mark_idle(OmModel& model) { entry(model).idle = true; }
  // models without users; with the last, the work buffer
  void trim() noexcept;
  // aclrtMalloc; unloads models other than the one loaded last until it succeeds.
  std::byte* reserve(size_t bytes, const std::string& what);

  size_t work_bytes() const { return work_bytes_; }
  size_t weight_bytes() const;  // loaded

 private:
  struct Entry {
    std::unique_ptr<OmModel> model;
    int users = 0;
    bool idle = false;
    uint64_t used = 0;  // the clock when it was
  };
  Entry& entry(const OmModel& model) { return entries_.at(model.path().string()); }
  // false: there is none but the one in use
  bool unload_one();
  bool shrink_work();
  void unload_all() noexcept;
  void need_work(size_t bytes);
  template <typename Try>
  void with_room(size_t bytes, const std::string& what, Try attempt);
  [[noreturn]] void out_of_memory(size_t bytes, const std::string& what, const AclError& error);

  Device& device_;
  std::function<bool()> give_room_;
  std::map<std::string, Entry> entries_;  // by path
  const OmModel* in_use_ = nullptr;
  uint64_t clock_ = 0;
  std::byte* work_ = nullptr;
  size_t work_bytes_ = 0;
};

}  // namespace inkstone::ascend
