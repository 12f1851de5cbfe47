// What is left after memory was short in the middle of something: jobs that nobody has any more end,
// and so do orders without jobs. The server goes on.
#include <utility>

#include "serve/gateway/gateway_impl.h"
#include "serve/support/log.h"

namespace inkstone::serve {
namespace {

const Failure kNoMemoryLeft{"internal", "the server had too little memory just then: ask again in a moment", true};

}  // namespace

void Gateway::Impl::enter(const std::function<void()>& body) noexcept {
  const std::weak_ptr there(alive);
  try {
    return body();
  } catch (const std::exception& error) {
    if (there.expired()) return;
    shaken();
    try {
      log_line(LogLevel::kError, "gateway", {{"problem", error.what()}});
    } catch (const std::exception&) {  // there is not even memory for the line
    }
  }
}

void Gateway::Impl::repair() {
  for (const auto& slot : slots)
    for (const JobId id : slot->job_ids()) {
      const auto job = jobs.find(id);
      if (job == jobs.end() || job->second.slot != slot.get()) slot->drop(id);
    }
  end_strays();
  end_orders_without_jobs();
  if (canary.job && !jobs.contains(*canary.job)) canary.job.reset();
  is_shaken = false;
}

// Jobs that no worker has by the broker's leave, that are not encoded and that do not wait.
void Gateway::Impl::end_strays() {
  std::vector<JobId> strays;
  for (const auto& [id, job] : jobs) {
    const bool queued = broker.waits(id);
    const bool held = job.slot ? job.slot->has(id) && (job.lease > 0 || queued) : job.encoding || queued;
    if (!held) strays.push_back(id);
  }
  for (const JobId id : strays) {
    const auto job = jobs.find(id);
    if (const ImageState* image = image_of(job->second); image && ended(image->stage)) {
      jobs.erase(job);
      continue;
    }
    if (WorkerSlot* slot = std::exchange(job->second.slot, nullptr)) slot->drop(id);
    job->second.failure = kNoMemoryLeft;
    broker.cancel(id, now());
    settle();
    const auto left = jobs.find(id);
    if (left == jobs.end()) continue;
    settle(left->second, End::kFailed);
    jobs.erase(left);
  }
}

void Gateway::Impl::end_orders_without_jobs() {
  for (OrderEntry* entry : store.live()) {
    for (size_t i = 0; i < entry->state.images.size(); i++) {
      ImageState& image = entry->state.images[i];
      if (ended(image.stage) || (i < entry->jobs.size() && jobs.contains(entry->jobs[i]))) continue;
      image.stage = Stage::kFailed;
      image.failure = kNoMemoryLeft;
    }
    if (entry->state.ended()) store.has_ended(*entry, now());
  }
  // Of some the end may not have been told.
  for (OrderEntry* entry : store.untold()) news.emplace_back(entry->state.id, 0);
}

}  // namespace inkstone::serve
