// The life of a job, as workers report it: from the queue through encode, denoise and decode to its
// one end.
#include <algorithm>
#include <boost/asio/post.hpp>

#include "base/error.h"
#include "diffusion/parameters.h"
#include "serve/gateway/gateway_impl.h"
#include "serve/support/log.h"

namespace inkstone::serve {
namespace {

// Images' pixels that wait for a file; workers wait with theirs.
constexpr int kMaxEncodings = 8;
constexpr double kPreviewSeconds = 0.1;  // between two of an image
constexpr int kMaxDeathsAlone = 1;

const Failure kWorkerDied{"worker_died", "its workers kept crashing"};

}  // namespace

namespace {

Beginning beginning_of(const ResolvedRequest& leg) {
  if (leg.enlarged && leg.hires_upscaler.network >= 0) return Beginning::kNetwork;
  if (leg.enlargement && leg.enlargement->has_network()) return Beginning::kNetwork;
  return leg.image || leg.enlarged || !leg.controls.empty() ? Beginning::kImage : Beginning::kText;
}

}  // namespace

void place_at_start(ServedJob& job) {
  job.batch.later.clear();
  int left = job.most_calls;
  for (const ServedLeg& leg : job.legs) {
    const SizeBucket bucket{leg.variant->key, leg.request->width, leg.request->height};
    const int calls = std::min(leg.calls, left);
    const bool first = &leg == &job.legs.front();
    if (first) job.batch.bucket = bucket;
    if (first) job.batch.rows = leg.rows;
    if (first) job.batch.calls_left = calls;
    if (first) job.batch.begins = beginning_of(*leg.request);
    if (first) job.batch.draws = !leg.request->enlargement;
    if (!first && calls > 0)
      job.batch.later.push_back({bucket, leg.rows, calls, std::max(beginning_of(*leg.request), Beginning::kImage)});
    left -= calls;
  }
}

int calls_before(const ServedJob& job, size_t leg) {
  int calls = 0;
  for (size_t i = 0; i < leg; i++) calls += job.legs[i].calls;
  return calls;
}

int calls_of(const ServedJob& job) { return calls_before(job, job.legs.size()); }

ImageState* Gateway::Impl::image_of(ServedJob& job) {
  return job.order ? &job.order->state.images[job.image] : nullptr;
}

void Gateway::Impl::tell(const ServedJob& job) {
  if (job.order) news.emplace_back(job.order->state.id, job.image);
}

void Gateway::Impl::enqueue(ServedJob job) {
  const Submission submission{job.batch.id, "", "", job.batch.priority, job.batch.rows};
  jobs[submission.id] = std::move(job);
  broker.submit(submission, now());
  assign_queued();
}

bool Gateway::Impl::wants_preview(JobId id) {
  ServedJob& job = jobs.at(id);
  if (!job.order || !job.order->state.order.previews || job.order->watchers.empty()) return false;
  if (now() - job.previewed < kPreviewSeconds) return false;
  job.previewed = now();
  return true;
}

bool Gateway::Impl::room_for_image() const { return encoder->waiting() < kMaxEncodings; }

// Another model is taken only after the operator asked for new workers.
std::string Gateway::Impl::greet(const Hello& hello) {
  const ServedModel* standard = models.standard();
  const bool other = standard && standard->card && hello.model.fingerprint != standard->card->fingerprint;
  INKSTONE_CHECK(!other || takes_new_model || !hello.model_file.path.empty(),
                 "the model's files have changed since the server started: SIGHUP makes it take them");
  models.greeted(hello);
  return models.variant_of(*models.standard(), {}).key;
}

std::vector<ShapeTimes> Gateway::Impl::times_of(const std::string& variant, const Hello& hello) const {
  const ServedModel* model = models.find(model_of_variant(variant));
  if (!model || !model->card) return hello.times;
  std::vector<ShapeTimes> known = curves.known(hello, *model->card);
  return known.empty() ? model->times : known;
}

void Gateway::Impl::switched(const std::string& variant, double seconds) {
  observe(tally.switch_seconds, seconds);
  log_line(LogLevel::kInfo, "model_loaded", {{"model", shown_variant(variant)}, {"seconds", seconds}});
}

void Gateway::Impl::joined() {
  const bool first = !was_ready;
  was_ready = true;
  if (!replaced && to_replace.empty()) takes_new_model = false;
  if (canary.away_since >= 0) canary.passed = now();
  canary.away_since = -1;
  if (first && on_ready)
    boost::asio::post(events, [this, there = std::weak_ptr(alive)] {
      if (!there.expired() && on_ready) on_ready();
    });
}

void Gateway::Impl::begun(JobId id) {
  ServedJob& job = jobs.at(id);
  ImageState* image = image_of(job);
  if (!image) return;
  image->stage = Stage::kEncode;
  image->times.queued = now() - job.order->state.arrival;
  if (image->attempt == 1) observe(tally.wait_seconds, image->times.queued);
  tell(job);
}

int Gateway::Impl::started(JobId id, int number, const Started& report) {
  ServedJob& job = jobs.at(id);
  job.leg = static_cast<size_t>(number);
  ServedLeg& leg = job.legs.at(job.leg);
  leg.rows = report.rows;
  leg.calls = report.calls;
  if (number == 0) job.adapters = {report.adapter_tags, report.adapter_hashes, report.embedding_hashes};
  if (ImageState* image = image_of(job)) {
    image->stage = Stage::kDenoise;
    image->calls = calls_of(job);
    for (const std::string& warning : report.warnings)
      if (std::ranges::count(image->warnings, warning) == 0) image->warnings.push_back(warning);
    image->times.text_encoder += report.seconds;
    observe(tally.encode_seconds, report.seconds);
    tell(job);
  }
  if (!job.batch.draws) return 0;
  return std::clamp(job.most_calls - calls_before(job, job.leg), 1, leg.calls);
}

void Gateway::Impl::step_done(const std::vector<JobId>& stepped, double seconds) {
  int rows = 0;
  bool any = false;
  for (const JobId id : stepped) {
    const auto job = jobs.find(id);
    if (job == jobs.end()) continue;
    rows += job->second.legs[job->second.leg].rows;
    any |= job->second.order != nullptr;
  }
  if (!any) return;
  observe(tally.step_seconds, seconds);
  observe(tally.rows_per_step, rows);
}

void Gateway::Impl::step_made(JobId id, double seconds) {
  ServedJob& job = jobs.at(id);
  ImageState* image = image_of(job);
  if (!image) return;
  image->call++;
  image->times.unet += seconds;
  tell(job);
}

void Gateway::Impl::previewed(Preview preview) {
  ServedJob& job = jobs.at(preview.job);
  ImageState* image = image_of(job);
  if (!image) return;
  image->preview = std::make_shared<const Image>(std::move(preview.image));
  image->preview_call = calls_before(job, job.leg) + preview.call;
  tell(job);
}

void Gateway::Impl::decode_begun(JobId id) {
  ServedJob& job = jobs.at(id);
  ImageState* image = image_of(job);
  if (!image) return;
  image->stage = Stage::kDecode;
  if (job.cut) job.most_calls = std::max(1, image->call);
  tell(job);
}

void Gateway::Impl::finished(Finished report) {
  ServedJob& job = jobs.at(report.job);
  job.slot = nullptr;
  const ResolvedRequest &asked = *job.legs.front().request, &made = *job.legs[job.leg].request;
  if (report.image.width != made.output.width || report.image.height != made.output.height)
    return failed({report.job, "internal", "an image of another size came out"});
  const OrderEntry* order = job.order;
  RefinerText refiner;
  if (order && order->state.order.refiner && job.leg > 0)
    refiner = {order->state.order.refiner->model, order->state.order.refiner->start};
  std::string parameters =
      parameters_text(asked, model_of_variant(job.legs.front().variant->key), job.adapters, refiner);
  if (order && asked.enlargement && job.image < order->state.order.kept_parameters.size())
    if (const std::string& kept = order->state.order.kept_parameters[job.image]; !kept.empty())
      parameters = kept + ", " + parameters;
  if (ImageState* image = image_of(job)) {
    image->stage = Stage::kDecode;
    image->times.vae = report.seconds;
    image->parameters = parameters;
    observe(tally.decode_seconds, report.seconds);
  }
  encoder->encode({report.job, std::move(report.image), order ? order->state.order.format : ImageFormat::kPng,
                   order ? order->state.order.quality : 100, std::move(parameters)});
  job.encoding = true;
}

void Gateway::Impl::encoded(EncodedImage encoded) {
  const auto job = jobs.find(encoded.job);
  if (job != jobs.end()) job->second.encoding = false;
  if (job != jobs.end() && encoded.error.empty()) {
    if (ImageState* image = image_of(job->second)) {
      image->times.encoding = encoded.seconds;
      image->file = std::make_shared<const std::string>(std::move(encoded.file));
    }
    end_job(encoded.job, End::kDone);
  } else if (job != jobs.end()) {
    log_line(LogLevel::kError, "not_encoded", {{"job", encoded.job}, {"reason", encoded.error}});
    failed({encoded.job, "internal", "the image could not be written in its format"});
  }
  pump();
}

void Gateway::Impl::failed(const JobFault& fault) {
  ServedJob& job = jobs.at(fault.job);
  job.slot = nullptr;  // which has let go of it
  end_job(fault.job, End::kFailed,
          {fault.code, fault.message, fault.code == "out_of_memory" || fault.code == "model_changed"});
}

// Those that the worker ran when it died are tried again without company; the others had no part in
// it.
void Gateway::Impl::lost(const std::vector<Lost>& gone, bool death) {
  const double time = now();
  tally.worker_deaths += death;
  if (std::ranges::none_of(slots, [](const auto& slot) { return slot->ready(); })) canary.away_since = time;
  for (const Lost& lost : gone) {
    ServedJob& job = jobs.at(lost.job);
    job.slot = nullptr;
    job.deaths_alone += lost.alone;
    if (lost.blamed) job.batch.alone = true;
    job.leg = 0;
    place_at_start(job);
    if (ImageState* image = image_of(job); image && lost.begun) {
      image->stage = Stage::kQueued;
      image->call = 0;
      image->attempt++;
      image->times = {};
      image->warnings.clear();
      tally.retries++;
      tell(job);
    }
    if (job.deaths_alone > kMaxDeathsAlone) job.failure = kWorkerDied;
    const End end = job.deaths_alone > kMaxDeathsAlone ? End::kFailed : lost.blamed ? End::kDied : End::kReturned;
    broker.finish(lost.job, job.lease, end, "", time);
  }
  settle();
}

// A job that waits in the broker is not leased, and can only be cancelled there: its failure says
// how it ends here.
void Gateway::Impl::end_job(JobId id, End end, const Failure& failure) {
  ServedJob& job = jobs.at(id);
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

void Gateway::Impl::settle(ServedJob& job, End end) {
  const double time = now();
  if (end == End::kDone) canary.passed = time;
  if (!job.order) {
    canary.job.reset();
    canary.cost = time - canary.submitted;
    if (end != End::kDone) canary.small = !canary.small;
    if (end != End::kDone) latest.reset();
    return;
  }
  ImageState& image = *image_of(job);
  image.stage = end == End::kDone ? Stage::kDone : job.failure.code.empty() ? Stage::kCancelled : Stage::kFailed;
  image.failure = job.failure;
  image.seconds_left = 0;
  image.preview.reset();
  image.times.total = time - job.order->state.arrival;
  if (image.stage == Stage::kDone) {
    tally.done++;
    observe(tally.total_seconds, image.times.total);
  }
  tally.cancelled += image.stage == Stage::kCancelled;
  if (image.stage == Stage::kFailed) {
    tally.failed++;
    tally.failures[job.failure.code]++;
  }
  const Order& order = job.order->state.order;
  log_line(LogLevel::kInfo, "image_ended",
           {{"request", order.request_id},
            {"trace", given(order.trace)},
            {"job", job.order->state.id},
            {"client", order.client},
            {"state", stage_name(image.stage)},
            {"code", job.failure.code},
            {"seconds", image.times.total}});
  tell(job);
  if (job.order->state.ended()) store.has_ended(*job.order, time);
}

}  // namespace inkstone::serve
