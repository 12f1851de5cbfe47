// What happens as time passes: commands for workers, news for watchers, deadlines, the canary, the
// replacement of workers, the end.
#include <algorithm>
#include <boost/asio/post.hpp>
#include <thread>
#include <utility>

#include "serve/gateway/gateway_impl.h"
#include "serve/support/log.h"

namespace inkstone::serve {
namespace {

constexpr std::chrono::milliseconds kTick{50};
// Seconds between ticks: this process itself stood still.
constexpr double kStandstill = 1;
// Seconds between forecasts, and between looks for what to forget.
constexpr double kForesight = 0.3, kSweep = 1;
constexpr std::chrono::milliseconds kNoMemory{10};  // until the next attempt
constexpr double kCurvesKept = 60;                  // seconds between two
constexpr int kEncoders = 2;

struct Told {  // whatever it was that was told
  bool& telling;
  const std::weak_ptr<bool>& there;
  ~Told() {
    if (!there.expired()) telling = false;
  }
};

// Those of models alone: with adapters an image takes about the same time.
void keep_curves_of(const WorkerSlot& slot, const ModelList& models, CurveStore& curves) {
  const std::vector<VariantTimes> known = slot.figures().curves;
  for (const ServedModel& model : models.models()) {
    if (!model.card) continue;
    const std::string key = models.variant_of(model, {}).key;
    std::vector<ShapeTimes> times;
    for (const VariantTimes& one : known)
      if (one.variant == key) times.push_back(one.times);
    curves.keep(*slot.hello(), *model.card, std::move(times));
  }
}

BrokerSettings broker_settings() {
  BrokerSettings settings;
  // Whoever leases is this process, which ends with the broker.
  settings.lease_seconds = 1e12;
  settings.kept_seconds = 1;  // answers are kept as orders
  return settings;
}

}  // namespace

Gateway::Impl::Impl(boost::asio::io_context& loop, ServeSettings wanted, WorkerProgram program)
    : events(loop),
      settings(std::move(wanted)),
      broker(broker_settings()),
      store(settings.kept_seconds, settings.max_kept_bytes),
      models(loop, settings.folders),
      timer(loop) {
  encoder = std::make_unique<ImageEncoder>(events, kEncoders,
                                           [this](EncodedImage image) { enter([&] { encoded(std::move(image)); }); });
  for (const std::string& device : settings.devices)
    for (int i = 0; i < settings.workers; i++)
      slots.push_back(std::make_unique<WorkerSlot>(events, *this, models, settings, device, program(device)));
  canary.away_since = 0;
  next_tick(std::chrono::milliseconds(0));  // which starts the workers
}

Gateway::Impl::~Impl() {
  alive.reset();
  slots.clear();
}

void Gateway::Impl::stop() {
  if (std::exchange(stopped, true)) return;
  keep_curves();
  timer.cancel();
  for (OrderEntry* entry : store.live())
    cancel(*entry, {"shutting_down", "this server shuts down: ask again in a moment", true});
  for (const auto& slot : slots) slot->close();
  jobs.clear();
  pump();
}

void Gateway::Impl::pump() {
  if (is_shaken) repair();
  if (stopped) return tell_watchers();
  assign_queued();
  for (const auto& slot : slots) slot->pump();
  rebalance();
  tell_watchers();
  if (draining && store.live_orders() == 0 && on_drained) boost::asio::post(events, std::exchange(on_drained, nullptr));
}

void Gateway::Impl::pump_later() {
  if (pump_scheduled) return;
  boost::asio::post(events, [this, there = std::weak_ptr(alive)] {
    if (there.expired()) return;
    pump_scheduled = false;
    enter([this] { pump(); });
  });
  pump_scheduled = true;
}

void Gateway::Impl::assign_queued() {
  if (!any_accepts()) return;
  while (const auto lease = broker.lease(1 << 20, now())) {
    ServedJob& job = jobs.at(lease->id);
    job.lease = lease->attempt;
    if (job.slot) continue;  // it has just been admitted there
    Admission admission;
    job.slot = best_slot(job.batch, &admission);
    // It was admitted before: whatever its forecast, someone takes it.
    for (const auto& slot : slots) {
      if (job.slot) break;
      if (!slot->accepts()) continue;
      job.slot = slot.get();
    }
    job.slot->take(job.batch);
  }
}

void Gateway::Impl::rebalance() {
  if (slots.size() < 2) return;
  for (const auto& idle : slots) {
    if (!idle->idle()) continue;
    WorkerSlot* busiest = nullptr;
    for (const auto& slot : slots)
      if (slot->spare() && (!busiest || slot->jobs() > busiest->jobs())) busiest = slot.get();
    if (!busiest) return;
    ServedJob& job = jobs.at(*busiest->spare());
    busiest->withdraw(job.batch.id);
    job.slot = idle.get();
    idle->take(job.batch);
    idle->pump();
  }
}

// Watchers may do anything here: unwatch, cancel, place, stop.
void Gateway::Impl::tell_watchers() {
  if (std::exchange(telling, true)) return;
  const std::weak_ptr there(alive);
  const Told told{telling, there};
  while (!news.empty()) {
    const auto [id, image] = std::move(news.front());
    news.pop_front();
    OrderEntry* entry = store.find(id);
    if (!entry || entry->told_end) continue;
    store.refresh_position(*entry);
    const bool last = entry->state.ended();
    for (OrderWatcher* watcher : std::vector(entry->watchers)) {
      if (std::ranges::count(entry->watchers, watcher) == 0) continue;
      watcher->changed(entry->state, image);
      if (there.expired()) return;
    }
    if (!last) continue;
    entry->told_end = true;
    entry->watchers.clear();
  }
}

void Gateway::Impl::next_tick(std::chrono::milliseconds wait) noexcept {
  while (true) {
    try {
      timer.expires_after(wait);
      return timer.async_wait([this, there = std::weak_ptr(alive)](const boost::system::error_code& error) {
        if (!error && !there.expired() && !stopped) tick();
      });
    } catch (const std::exception&) {  // without it time stands still
      std::this_thread::sleep_for(kNoMemory);
    }
  }
}

void Gateway::Impl::tick() {
  const std::weak_ptr there(alive);
  enter([this] { pass_tick(); });
  if (!there.expired() && !stopped) next_tick(kTick);
}

void Gateway::Impl::pass_tick() {
  const double time = now();
  if (time - last_tick > kStandstill)
    for (const auto& slot : slots) slot->allow(time - last_tick);
  last_tick = time;
  for (const auto& slot : slots) slot->tick(time);
  pass_deadlines(time);
  replace_next(time);
  keep_canary(time);
  if (time - foreseen > kForesight) foresee(time);
  if (draining && time > drain_until)
    for (OrderEntry* entry : store.live())
      cancel(*entry, {"shutting_down", "this server shuts down: ask again in a moment", true});
  if (time - swept > kSweep) {
    swept = time;
    store.forget(time);
  }
  if (time - curves_kept > kCurvesKept) keep_curves();
  pump();
}

void Gateway::Impl::keep_curves() {
  curves_kept = now();
  for (const auto& slot : slots)
    if (slot->ready()) keep_curves_of(*slot, models, curves);
}

// What has its pixels yet to come is late for good; what is being decoded ends. Where no worker is
// there to begin it, an order does not wait for ever.
void Gateway::Impl::pass_deadlines(double time) {
  const bool nobody = !any_accepts();
  for (OrderEntry* entry : store.live()) {
    const bool late = entry->deadline > 0 && time >= entry->deadline;
    const bool forgotten = nobody && time > entry->state.arrival + settings.max_wait;
    if (!late && !forgotten) continue;
    const Failure failure = late ? Failure{"deadline", "its deadline passed before it was done", true}
                                 : Failure{"not_ready", "no worker was there to begin it in time", true};
    for (const JobId id : std::vector(entry->jobs)) {
      const auto job = jobs.find(id);
      if (job == jobs.end() || image_of(job->second)->stage == Stage::kDecode) continue;
      if (!late && job->second.slot) continue;
      end_job(id, End::kCancelled, failure);
    }
  }
}

void Gateway::Impl::foresee(double time) {
  foreseen = time;
  std::map<OrderEntry*, double> ends;
  for (const auto& slot : slots) {
    if (!slot->ready() || slot->jobs() == 0) continue;
    for (const auto& [id, end] : slot->forecast()) {
      const auto job = jobs.find(id);
      if (job == jobs.end() || !job->second.order) continue;
      image_of(job->second)->seconds_left = std::max(0.0, end - time);
      double& of_order = ends[job->second.order];
      of_order = std::max(of_order, end);
    }
  }
  for (const auto& [entry, end] : ends) entry->end = end;
  for (const OrderEntry* entry : store.moved())
    if (!entry->watchers.empty()) news.emplace_back(entry->state.id, 0);
}

void Gateway::Impl::replace_next(double time) {
  if (replaced && replaced->accepts()) replaced = nullptr;
  if (replaced || to_replace.empty()) return;
  WorkerSlot* next = to_replace.front();
  to_replace.pop_front();
  if (!next->accepts()) return;  // it starts anew as it is
  replaced = next;
  next->retire(time + settings.grace);
}

void Gateway::Impl::keep_canary(double time) {
  if (!canary.due(time) || !any_accepts()) return;
  const ServedModel* model = latest ? models.find(model_of_variant(latest->key)) : nullptr;
  if (!model || !model->card) model = models.standard();
  if (!model || !model->card) return;
  if (!latest || model_of_variant(latest->key) != model->name || latest->model != model->file)
    latest = std::make_shared<const Variant>(models.variant_of(*model, {}));
  ImageRequest request;
  request.prompt = "";
  request.steps = 1;
  request.guidance_scale = 1;
  request.scheduler = "euler";
  if (canary.small) request.width = request.height = model->card->traits.size_multiple;
  ServedJob job = served_job(
      {{std::make_shared<const ResolvedRequest>(resolve(request, model->card->traits, model->card->limits)), latest}});
  job.batch.priority = Priority::kHigh;
  Admission admission;
  job.slot = best_slot(job.batch, &admission);
  canary.submitted = time;
  // Only where more waits than is allowed to.
  if (!job.slot) return;
  canary.expected = admission.end - time;
  job.slot->take(job.batch);
  canary.job = job.batch.id;
  enqueue(std::move(job));
}

}  // namespace inkstone::serve
