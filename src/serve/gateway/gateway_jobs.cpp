// The life of a job, as workers tell it: from the queue through text, steps and pixels to its one end.
#include <algorithm>
#include <boost/asio/post.hpp>

#include "serve/gateway/gateway_impl.h"
#include "serve/log.h"
#include "serve/picture_file.h"

namespace inkstone {
namespace {

constexpr int kMostEncodings = 8;        // pictures' pixels that wait for a file; workers wait with theirs
constexpr double kPreviewSeconds = 0.1;  // between two of a picture
constexpr int kMostDeathsAlone = 1;

const Failure kWorkerDied{"worker_died", "the worker that drew this picture died, again and again"};

}  // namespace

PictureState* Gateway::Impl::picture_of(LiveJob& job) {
  return job.order ? &job.order->state.pictures[job.picture] : nullptr;
}

void Gateway::Impl::tell(const LiveJob& job) {
  if (job.order) news.emplace_back(job.order->state.id, job.picture);
}

void Gateway::Impl::submit(LiveJob job) {
  const JobId id = job.batch.id;
  broker.submit({id, "", "", job.batch.priority, job.batch.rows}, now());
  jobs[id] = std::move(job);
  assign_queued();
}

bool Gateway::Impl::wants_preview(JobId id) {
  LiveJob& job = jobs.at(id);
  if (!job.order || !job.order->state.order.previews || job.order->watchers.empty()) return false;
  if (now() - job.previewed < kPreviewSeconds) return false;
  job.previewed = now();
  return true;
}

bool Gateway::Impl::room_for_pixels() const { return encoder->waiting() < kMostEncodings; }

void Gateway::Impl::joined(WorkerSlot& slot) {
  const bool first = !card;
  card = slot.hello()->model;
  if (canary.away_since >= 0) canary.passed = now();
  canary.away_since = -1;
  if (first && on_ready)
    boost::asio::post(events, [this, there = std::weak_ptr(alive)] {
      if (!there.expired() && on_ready) on_ready();
    });
}

void Gateway::Impl::begun(JobId id) {
  LiveJob& job = jobs.at(id);
  PictureState* picture = picture_of(job);
  if (!picture) return;
  picture->stage = Stage::kText;
  picture->times.queued = now() - job.order->state.arrival;
  if (picture->attempt == 1) observe(tally.wait_seconds, picture->times.queued);
  tell(job);
}

int Gateway::Impl::started(JobId id, const Started& report) {
  LiveJob& job = jobs.at(id);
  job.batch.rows = report.rows;
  job.batch.calls_left = job.cut ? std::min(job.batch.calls_left, report.calls) : report.calls;
  if (PictureState* picture = picture_of(job)) {
    picture->stage = Stage::kSteps;
    picture->calls = report.calls;
    picture->warnings = report.warnings;
    picture->times.text_encoder = report.seconds;
    observe(tally.text_seconds, report.seconds);
    tell(job);
  }
  return job.batch.calls_left;
}

void Gateway::Impl::step_done(const std::vector<JobId>& stepped, double seconds) {
  int rows = 0;
  bool any = false;
  for (const JobId id : stepped) {
    const auto job = jobs.find(id);
    if (job == jobs.end()) continue;
    rows += job->second.batch.rows;
    any |= job->second.order != nullptr;
  }
  if (!any) return;
  observe(tally.step_seconds, seconds);
  observe(tally.rows_per_step, rows);
}

void Gateway::Impl::step_made(JobId id, double seconds) {
  LiveJob& job = jobs.at(id);
  PictureState* picture = picture_of(job);
  if (!picture) return;
  picture->call++;
  picture->times.unet += seconds;
  tell(job);
}

void Gateway::Impl::previewed(Preview preview) {
  LiveJob& job = jobs.at(preview.job);
  PictureState* picture = picture_of(job);
  if (!picture) return;
  picture->preview = std::make_shared<const Image>(std::move(preview.image));
  picture->preview_call = preview.call;
  tell(job);
}

void Gateway::Impl::pixels_come(JobId id) {
  LiveJob& job = jobs.at(id);
  PictureState* picture = picture_of(job);
  if (!picture) return;
  picture->stage = Stage::kPixels;
  if (job.cut) job.batch.calls_left = std::max(1, picture->call);
  tell(job);
}

void Gateway::Impl::finished(Finished report) {
  LiveJob& job = jobs.at(report.job);
  job.slot = nullptr;
  if (report.image.width != job.request.width || report.image.height != job.request.height)
    return failed({report.job, "internal", "a picture of another size came out"});
  const OrderEntry* order = job.order;
  std::string parameters = parameters_text(job.request, *card);
  if (PictureState* picture = picture_of(job)) {
    picture->stage = Stage::kPixels;
    picture->times.vae = report.seconds;
    picture->parameters = parameters;
    observe(tally.vae_seconds, report.seconds);
  }
  encoder->encode({report.job, std::move(report.image), order ? order->state.order.format : PictureFormat::kPng,
                   order ? order->state.order.quality : 100, std::move(parameters)});
}

void Gateway::Impl::encoded(EncodedPicture encoded) {
  const auto job = jobs.find(encoded.job);
  if (job != jobs.end() && encoded.error.empty()) {
    if (PictureState* picture = picture_of(job->second)) {
      picture->times.encoding = encoded.seconds;
      picture->file = std::make_shared<const std::string>(std::move(encoded.file));
    }
    end_job(encoded.job, End::kDone);
  } else if (job != jobs.end()) {
    log_line(LogLevel::kError, "not_encoded", {{"job", encoded.job}, {"reason", encoded.error}});
    failed({encoded.job, "internal", "the picture could not be written in its format"});
  }
  course();
}

void Gateway::Impl::failed(const JobFault& fault) {
  LiveJob& job = jobs.at(fault.job);
  job.slot = nullptr;  // which has let go of it
  end_job(fault.job, End::kFailed, {fault.code, fault.message, fault.code == "out_of_memory"});
}

// Those that the worker ran when it died are tried again without company; the others had no part in it.
void Gateway::Impl::lost(const std::vector<Lost>& gone, bool death) {
  const double time = now();
  tally.worker_deaths += death;
  if (std::ranges::none_of(slots, [](const auto& slot) { return slot->ready(); })) canary.away_since = time;
  for (const Lost& lost : gone) {
    LiveJob& job = jobs.at(lost.job);
    job.slot = nullptr;
    job.deaths_alone += lost.alone;
    if (lost.blamed) job.batch.alone = true;
    if (PictureState* picture = picture_of(job); picture && lost.begun) {
      picture->stage = Stage::kQueued;
      picture->call = 0;
      picture->attempt++;
      picture->times = {};
      tally.retries++;
      tell(job);
    }
    if (job.deaths_alone > kMostDeathsAlone) job.failure = kWorkerDied;
    const End end = job.deaths_alone > kMostDeathsAlone ? End::kFailed : lost.blamed ? End::kDied : End::kReturned;
    broker.finish(lost.job, job.lease, end, "", time);
  }
  settle();
}

// A job that waits in the broker is not leased, and can only be cancelled there: its failure says how it ends here.
void Gateway::Impl::end_job(JobId id, End end, const Failure& failure) {
  LiveJob& job = jobs.at(id);
  job.failure = failure;
  if (end == End::kCancelled)
    broker.cancel(id, now());
  else
    broker.finish(id, job.lease, end, "", now());
  settle();
}

void Gateway::Impl::settle() {
  for (const Ended& ended : broker.collect(now())) {
    const auto job = jobs.find(ended.id);
    if (job == jobs.end()) continue;
    if (job->second.slot) job->second.slot->drop(ended.id);
    if (ended.end == End::kPoison) job->second.failure = kWorkerDied;
    settle(job->second, ended.end);
    jobs.erase(job);
  }
}

void Gateway::Impl::settle(LiveJob& job, End end) {
  const double time = now();
  if (end == End::kDone) canary.passed = time;
  if (!job.order) {
    canary.job.reset();
    canary.cost = time - canary.placed;
    if (end != End::kDone) canary.small = !canary.small;
    return;
  }
  PictureState& picture = *picture_of(job);
  picture.stage = end == End::kDone ? Stage::kDone : job.failure.code.empty() ? Stage::kCancelled : Stage::kFailed;
  picture.failure = job.failure;
  picture.seconds_left = 0;
  picture.preview.reset();
  picture.times.total = time - job.order->state.arrival;
  if (picture.stage == Stage::kDone) {
    tally.done++;
    observe(tally.total_seconds, picture.times.total);
  }
  tally.cancelled += picture.stage == Stage::kCancelled;
  if (picture.stage == Stage::kFailed) {
    tally.failed++;
    tally.failures[job.failure.code]++;
  }
  const Order& order = job.order->state.order;
  log_line(LogLevel::kInfo, "picture_ended",
           {{"request", order.request_id},
            {"job", job.order->state.id},
            {"client", order.client},
            {"state", stage_name(picture.stage)},
            {"code", job.failure.code},
            {"seconds", picture.times.total}});
  tell(job);
  if (job.order->state.ended()) book.has_ended(*job.order, time);
}

}  // namespace inkstone
