// The gateway's interface: watching, cancelling and finding orders, and the figures.
#include "serve/gateway/gateway.h"

#include <algorithm>

#include "serve/gateway/gateway_impl.h"

namespace inkstone::serve {

void Gateway::Impl::watch(OrderEntry& entry, OrderWatcher& watcher) {
  if (std::ranges::count(entry.watchers, &watcher) == 0) entry.watchers.push_back(&watcher);
  if (!entry.state.ended()) return;
  entry.told_end = false;
  news.emplace_back(entry.state.id, 0);
  pump_later();
}

void Gateway::Impl::unwatch(OrderEntry& entry, OrderWatcher& watcher) {
  if (std::erase(entry.watchers, &watcher) == 0) return;
  if (entry.watchers.empty() && !entry.state.order.stays) cancel(entry, {});
}

bool Gateway::Impl::cancel(OrderEntry& entry, const Failure& failure) {
  bool any = false;
  for (const JobId id : std::vector(entry.jobs)) {
    if (!jobs.contains(id)) continue;
    any = true;
    end_job(id, End::kCancelled, failure);
  }
  pump_later();
  return any;
}

bool Gateway::Impl::cut_short(OrderEntry& entry) {
  bool any = false;
  for (const JobId id : entry.jobs) {
    const auto job = jobs.find(id);
    if (job == jobs.end()) continue;
    any = true;
    ImageState& image = *image_of(job->second);
    if (job->second.cut || image.stage == Stage::kDecode) continue;
    job->second.cut = image.cut_short = true;
    job->second.most_calls = std::max(1, image.call);
    place_at_start(job->second);
    if (job->second.slot) job->second.slot->cut_short(id);
  }
  pump_later();
  return any;
}

ServiceFigures Gateway::Impl::figures() {
  ServiceFigures figures;
  const double time = now();
  figures.ready = !draining && !stopped && std::ranges::any_of(slots, [](const auto& slot) { return slot->ready(); });
  figures.draining = draining || stopped;
  figures.uptime = time;
  double command_limit = 0;
  for (const auto& slot : slots) {
    figures.workers.push_back(slot->figures());
    command_limit = std::max(command_limit, slot->command_limit());
  }
  figures.canary_age = canary.age(time);
  figures.canary_limit = canary.limit(command_limit, kWorkerStartSeconds + 60);
  figures.orders = store.live_orders();
  for (auto& [id, job] : jobs)
    if (const ImageState* image = image_of(job)) {
      (image->stage == Stage::kQueued ? figures.queued : figures.running)++;
      figures.retrying += image->attempt > 1;
    }
  figures.watchers = store.watchers();
  figures.kept_bytes = store.kept_bytes();
  figures.done = tally.done;
  figures.failed = tally.failed;
  figures.cancelled = tally.cancelled;
  figures.retries = tally.retries;
  figures.worker_deaths = tally.worker_deaths;
  figures.rejected.assign(tally.rejected.begin(), tally.rejected.end());
  figures.failures.assign(tally.failures.begin(), tally.failures.end());
  figures.wait_seconds = tally.wait_seconds;
  figures.step_seconds = tally.step_seconds;
  figures.rows_per_step = tally.rows_per_step;
  figures.encode_seconds = tally.encode_seconds;
  figures.decode_seconds = tally.decode_seconds;
  figures.switch_seconds = tally.switch_seconds;
  figures.total_seconds = tally.total_seconds;
  figures.broker = broker.stats(time);
  return figures;
}

Gateway::Gateway(boost::asio::io_context& events, ServeSettings settings, WorkerProgram program)
    : impl_(std::make_unique<Impl>(events, std::move(settings), std::move(program))) {}
Gateway::~Gateway() = default;

SubmitResult Gateway::submit(Order order) { return impl_->submit(std::move(order)); }

const OrderState* Gateway::find(std::string_view id, std::string_view client) {
  OrderEntry* entry = impl_->store.find(id);
  if (!entry || entry->state.order.client != client) return nullptr;
  impl_->store.refresh_position(*entry);
  return &entry->state;
}

std::vector<const OrderState*> Gateway::orders_of(std::string_view client) {
  std::vector<const OrderState*> orders;
  for (OrderEntry* entry : impl_->store.of_client(client)) {
    impl_->store.refresh_position(*entry);
    orders.push_back(&entry->state);
  }
  return orders;
}

void Gateway::watch(const OrderState& order, OrderWatcher& watcher) {
  if (OrderEntry* entry = impl_->store.find(order.id)) impl_->guarded([&] { impl_->watch(*entry, watcher); });
}

void Gateway::unwatch(const OrderState& order, OrderWatcher& watcher) {
  if (OrderEntry* entry = impl_->store.find(order.id)) impl_->guarded([&] { impl_->unwatch(*entry, watcher); });
}

bool Gateway::cancel(const OrderState& order) {
  OrderEntry* entry = impl_->store.find(order.id);
  return entry && impl_->guarded([&] { return impl_->cancel(*entry, {}); });
}

bool Gateway::cut_short(const OrderState& order) {
  OrderEntry* entry = impl_->store.find(order.id);
  return entry && impl_->guarded([&] { return impl_->cut_short(*entry); });
}

const std::vector<ServedModel>& Gateway::models() const {
  static const std::vector<ServedModel> kNone;
  return impl_->models.standard() ? impl_->models.models() : kNone;
}

const std::vector<AdapterName>* Gateway::adapters() const {
  return impl_->settings.folders.adapters.empty() ? nullptr : &impl_->models.adapters();
}

void Gateway::rescan(std::function<void()> done) {
  impl_->models.rescan([this, done = std::move(done)] {
    impl_->pump_later();
    done();
  });
}

ServiceFigures Gateway::figures() const { return impl_->figures(); }
double Gateway::now() const { return impl_->now(); }

void Gateway::on_ready(std::function<void()> ready) { impl_->on_ready = std::move(ready); }

void Gateway::drain(std::function<void()> drained) {
  impl_->draining = true;
  impl_->drain_until = impl_->now() + impl_->settings.grace;
  impl_->on_drained = std::move(drained);
  impl_->pump_later();
}

void Gateway::replace_workers() {
  impl_->takes_new_model = true;
  rescan([] {});
  impl_->to_replace.clear();
  for (const auto& slot : impl_->slots) impl_->to_replace.push_back(slot.get());
}

void Gateway::stop() { impl_->stop(); }

}  // namespace inkstone::serve
