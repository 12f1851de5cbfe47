#include "backend/ascend/residency.h"

#include <algorithm>

namespace inkstone::ascend {
namespace {

std::string mib(size_t bytes) { return std::to_string((bytes + (1 << 20) - 1) >> 20) + " MiB"; }

}  // namespace

Residency::~Residency() {
  device_.clean_up([this] {
    unload_all();
    entries_.clear();
    device_.release(work_);
  });
}

OmModel& Residency::open(const std::filesystem::path& path, const GraphRecord& record) {
  Entry& entry = entries_[path.string()];
  if (!entry.model) {
    try {
      entry.model = std::make_unique<OmModel>(device_, path, record);
    } catch (...) {
      entries_.erase(path.string());
      throw;
    }
  }
  ++entry.users;
  entry.idle = false;
  return *entry.model;
}

void Residency::close(OmModel& model) noexcept { --entry(model).users; }

void Residency::load(OmModel& model) {
  in_use_ = &model;
  Entry& at = entry(model);
  at.used = ++clock_;
  at.idle = false;
  if (model.loaded()) return;
  need_work(model.work_bytes());
  const std::string what = "the weights of " + model.path().string();
  with_room(model.weight_bytes(), what, [&] { model.load(work_, work_bytes_); });
}

// The size that the largest model known so far needs, so that it rarely grows; if that does not
// fit, the size that this model needs.
void Residency::need_work(size_t min_bytes) {
  if (work_bytes_ >= min_bytes) return;
  size_t largest = min_bytes;
  for (const auto& [path, entry] : entries_)
    if (entry.users) largest = std::max(largest, entry.model->work_bytes());
  unload_all();
  device_.release(std::exchange(work_, nullptr));
  work_bytes_ = 0;
  try {
    work_ = device_.reserve(largest);
    work_bytes_ = largest;
  } catch (const AclError& error) {
    if (!error.out_of_memory() || largest == min_bytes) out_of_memory(largest, "the work memory of models", error);
    with_room(min_bytes, "the work memory of a model", [&] { work_ = device_.reserve(min_bytes); });
    work_bytes_ = min_bytes;
  }
}

std::byte* Residency::reserve(size_t bytes, const std::string& what) {
  std::byte* memory = nullptr;
  with_room(bytes, what, [&] { memory = device_.reserve(bytes); });
  return memory;
}

template <typename Try>
void Residency::with_room(size_t bytes, const std::string& what, Try attempt) {
  for (;;) {
    try {
      return attempt();
    } catch (const AclError& error) {
      if (!error.out_of_memory()) throw;
      if (!give_room_() && !unload_one() && !shrink_work()) out_of_memory(bytes, what, error);
    }
  }
}

bool Residency::unload_one() {
  Entry* first = nullptr;
  const auto before = [](const Entry& a, const Entry& b) {
    const auto rank = [](const Entry& e) { return std::pair(e.users > 0 && !e.idle, e.used); };
    return rank(a) < rank(b);
  };
  for (auto& [path, entry] : entries_)
    if (entry.model->loaded() && entry.model.get() != in_use_ && (!first || before(entry, *first))) first = &entry;
  if (first) first->model->unload();
  return first;
}

// Shrinks to the size that this model needs, when it is the only one left.
bool Residency::shrink_work() {
  const auto loaded = [](const auto& at) { return at.second.model && at.second.model->loaded(); };
  if (!in_use_ || work_bytes_ <= in_use_->work_bytes() || std::ranges::any_of(entries_, loaded)) return false;
  device_.release(std::exchange(work_, nullptr));
  work_bytes_ = 0;
  work_ = device_.reserve(in_use_->work_bytes());
  work_bytes_ = in_use_->work_bytes();
  return true;
}

void Residency::unload_all() noexcept {
  for (auto& [path, entry] : entries_)
    if (entry.model) entry.model->unload();
}

void Residency::trim() noexcept {
  std::erase_if(entries_, [&](auto& at) {
    if (at.second.users > 0) return false;
    if (at.second.model.get() == in_use_) in_use_ = nullptr;
    return true;
  });
  const bool idle = std::ranges::none_of(entries_, [](const auto& at) { return at.second.model->loaded(); });
  if (!idle) return;
  device_.release(std::exchange(work_, nullptr));
  work_bytes_ = 0;
}

size_t Residency::weight_bytes() const {
  size_t total = 0;
  for (const auto& [path, entry] : entries_)
    if (entry.model->loaded()) total += entry.model->weight_bytes();
  return total;
}

void Residency::out_of_memory(size_t bytes, const std::string& what, const AclError& error) {
  if (!error.out_of_memory()) throw error;
  Device::MemoryInfo memory;
  try {
    memory = device_.memory();
  } catch (const AclError&) {  // what failed first is what matters
  }
  throw AclError(device_.name() + " has not enough memory: " + mib(bytes) + " asked for " + what + ", " +
                     mib(memory.free) + " of " + mib(memory.total) + " free, nothing left to unload (work memory " +
                     mib(work_bytes_) +
                     "); use a smaller size or batch, or a VAE in tiles (inkstone export --vae-tile), or end "
                     "what else uses the chip (npu-smi info). " +
                     error.what(),
                 error.code(), INKSTONE_HERE);
}

}  // namespace inkstone::ascend
