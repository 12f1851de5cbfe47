// Which orders are admitted: what an order may ask, how much, and which worker takes it.
#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "diffusion/legs.h"
#include "serve/gateway/gateway_impl.h"
#include "serve/support/log.h"
#include "serve/wire/spooled.h"

namespace inkstone::serve {
namespace {

constexpr double kLongPause = 30;  // seconds
// Pictures of all orders that have not ended: so many bodies of the largest size. One client may have a quarter.
constexpr size_t kPicturesOfAll = 16, kClientsWithPictures = 4;
constexpr double kNever = std::numeric_limits<double>::infinity();

Rejection rejection_of(const Admission& admission, double max_wait) {
  switch (admission.refusal) {
    case Refusal::kQueueFull:
      return {"queue_full", "the queue is full: try again in a while", "", std::max(1.0, admission.retry_after)};
    case Refusal::kTooLong:
      return {"too_long",
              text_of({"work of about ", std::lround(admission.wait), " s stands before it, that of earlier orders of ",
                       "yours included, and the limit is ", std::lround(max_wait), " s (--max-wait): try again in a ",
                       "while"}),
              "", std::max(1.0, admission.retry_after)};
    case Refusal::kDeadline:
      if (admission.retry_after <= 0)
        return {"deadline", "the deadline cannot be met, although nothing stands before it: allow more time",
                "deadline"};
      return {"deadline", "the deadline cannot be met: allow more time, or try again in a while", "deadline",
              std::max(1.0, admission.retry_after)};
    case Refusal::kTooManyRows:
      return {"invalid",
              "the device has too little memory for an image of this size with guidance: ask for a smaller one",
              "width"};
    case Refusal::kNone:
    case Refusal::kKnown:
    case Refusal::kNoBucket: break;
  }
  return {"invalid", "this cannot be generated here", ""};
}

// Images share theirs, but for those that are enlarged, each of which has one of its own.
size_t bytes_of_pictures(const Order& order) {
  size_t bytes = 0;
  for (const RequestPtr& image : order.images)
    if (image == order.images.front() || image->enlargement) bytes += file_bytes(image->said());
  return bytes;
}

}  // namespace

double Gateway::Impl::seconds_to_room() const {
  double first = kNever;
  for (const auto& slot : slots)
    if (slot->accepts())
      for (const auto& [job, end] : slot->forecast()) first = std::min(first, end - now());
  return first < kNever ? std::max(1.0, first) : 5;
}

// They are in memory until their images are done.
Rejection Gateway::Impl::refusal_of_pictures(const Order& order, size_t bytes) {
  const size_t most = kPicturesOfAll * settings.http.max_image_body, of_client = most / kClientsWithPictures;
  if (bytes == 0) return {};
  if (store.picture_bytes(order.client) + bytes > of_client)
    return {"quota",
            text_of({"the pictures of your images that are queued or running have ", store.picture_bytes(order.client),
                     " bytes, and these ", bytes, ", of at most ", of_client, ": wait for some, or cancel them"}),
            "", seconds_to_room()};
  if (store.picture_bytes() + bytes > most)
    return {"queue_full",
            text_of({"the queue is full, with pictures of ", store.picture_bytes(), " bytes of at most ", most}), "",
            seconds_to_room()};
  return {};
}

Rejection Gateway::Impl::refusal(const Order& order) {
  const int images = static_cast<int>(order.images.size());
  if (draining || stopped) return {"draining", "this server is shutting down: try another", "", 5};
  if (!models.standard()) return {"not_ready", "the model is being loaded: try again in a moment", "", 5};
  for (const std::string& name : {order.model, order.refiner ? order.refiner->model : order.model})
    if (const ServedModel* model = models.find(name); !model || !model->card)
      return {"invalid", "there is no model \"" + name + "\" here", name == order.model ? "model" : "refiner"};
  if (images < 1 || images > settings.max_images)
    return {"invalid", text_of({images, " images: from 1 to ", settings.max_images, " in one order"}), "n"};
  if (order.deadline && *order.deadline <= 0) return {"deadline", "the deadline has passed already", "deadline"};
  if (store.live_images(order.client) + images > settings.max_per_client)
    return {"quota",
            text_of({"you have ", store.live_images(order.client), " images queued or running, of at most ",
                     settings.max_per_client, ": wait for some, or cancel them"}),
            "", seconds_to_room()};
  if (store.live_images() + images > settings.max_queue)
    return {"queue_full",
            text_of({"the queue is full, with ", store.live_images(), " images of at most ", settings.max_queue}), "",
            seconds_to_room()};
  return {};
}

SubmitResult Gateway::Impl::refuse(Rejection rejection) {
  tally.rejected[rejection.code]++;
  return {nullptr, false, std::move(rejection)};
}

ServedJob Gateway::Impl::served_job(std::vector<ServedLeg> legs) {
  ServedJob job;
  job.legs = std::move(legs);
  for (ServedLeg& leg : job.legs) {
    leg.rows = leg.request->cfg_copies();
    leg.calls = leg.request->evaluations();
  }
  job.batch.id = next_job++;
  job.batch.arrival = now();
  place_at_start(job);
  return job;
}

std::vector<ServedLeg> Gateway::Impl::legs_of(const Order& order, size_t image, const VariantPtr& variant,
                                              const VariantPtr& refiner) {
  std::vector<ServedLeg> legs{{order.images[image], variant}};
  if (legs.front().request->is_enlarged_later())
    legs.push_back({std::make_shared<const ResolvedRequest>(hires_leg(*legs.front().request)), variant});
  if (order.refiner) legs.push_back({order.refiner->images.at(image), refiner});
  return legs;
}

std::vector<ServedJob> Gateway::Impl::jobs_of(const Order& order) {
  std::vector<ServedJob> made;
  const auto variant = std::make_shared<const Variant>(models.variant_of(*models.find(order.model), order.adapters));
  VariantPtr refiner;
  if (order.refiner)
    refiner = std::make_shared<const Variant>(models.variant_of(*models.find(order.refiner->model), {}));
  latest = variant;
  for (size_t image = 0; image < order.images.size(); image++) {
    made.push_back(served_job(legs_of(order, image, variant, refiner)));
    ServedJob& job = made.back();
    job.image = image;
    job.batch.client = order.client;
    job.batch.priority = order.priority;
    if (order.deadline) job.batch.deadline = now() + *order.deadline;
    job.batch.follows = made.size() > 1;
  }
  return made;
}

bool Gateway::Impl::any_accepts() const {
  return std::ranges::any_of(slots, [](const auto& slot) { return slot->accepts(); });
}

// The one that will have ended it first. Null where none accepts it: then the admission says why.
WorkerSlot* Gateway::Impl::best_slot(BatchJob& job, Admission* admission) {
  WorkerSlot* best = nullptr;
  for (const auto& slot : slots) {
    if (!slot->accepts()) continue;
    const Admission found = slot->consider(job);
    const bool better = found.accepted() ? !best || found.end < admission->end : !best;
    if (!better) continue;
    *admission = found;
    best = found.accepted() ? slot.get() : nullptr;
  }
  return best;
}

// All or none of them. Where no worker is ready they wait for one.
Rejection Gateway::Impl::admit(std::vector<ServedJob>& made) {
  if (std::ranges::all_of(slots, [](const auto& slot) { return slot->cannot_start(); }))
    return {"not_ready", "no worker can be started; the server's log says why", "", kLongPause};
  if (!any_accepts()) return {};
  for (ServedJob& job : made) {
    Admission admission;
    job.slot = best_slot(job.batch, &admission);
    if (job.slot) {
      job.end = admission.end;
      job.slot->take(job.batch);
      continue;
    }
    for (ServedJob& earlier : made)
      if (earlier.slot) earlier.slot->withdraw(earlier.batch.id);
    return rejection_of(admission, settings.max_wait);
  }
  return {};
}

SubmitResult Gateway::Impl::submit(Order order) {
  try {
    return place(std::move(order));
  } catch (...) {
    shaken();
    enter([this] { repair(); });
    throw;
  }
}

SubmitResult Gateway::Impl::place(Order order) {
  bool same = false;
  if (OrderEntry* known = store.repeated(order, &same)) {
    if (same) return {&known->state, true, {}};
    return refuse({"conflict", "this idempotency key was used for another request: use a new one", "idempotency_key"});
  }
  if (Rejection rejection = refusal(order); !rejection.code.empty()) return refuse(std::move(rejection));
  const size_t picture_bytes = bytes_of_pictures(order);
  if (Rejection rejection = refusal_of_pictures(order, picture_bytes); !rejection.code.empty())
    return refuse(std::move(rejection));
  std::vector<ServedJob> made;
  try {
    made = jobs_of(order);
  } catch (const UsageError& error) {  // an adapter that is not there
    return refuse({"invalid", error.what(), "loras"});
  }
  if (Rejection rejection = admit(made); !rejection.code.empty()) return refuse(std::move(rejection));
  OrderEntry& entry = store.add(std::move(order), picture_bytes, now());
  if (made.front().slot) entry.end = std::ranges::max(made, {}, &ServedJob::end).end;
  store.refresh_position(entry);
  entry.last_position = entry.state.position;
  for (ServedJob& job : made) {
    job.order = &entry;
    entry.jobs.push_back(job.batch.id);
    entry.state.images[job.image].calls = calls_of(job);
    enqueue(std::move(job));
  }
  const Order& submitted = entry.state.order;
  log_line(LogLevel::kInfo, "order_admitted",
           {{"request", submitted.request_id},
            {"trace", given(submitted.trace)},
            {"job", entry.state.id},
            {"client", submitted.client},
            {"api", submitted.api},
            {"model", shown_variant(jobs.at(entry.jobs.front()).legs.front().variant->key)},
            {"images", submitted.images.size()},
            {"prompt", settings.log_prompts ? submitted.images[0]->prompt : "-"}});
  foreseen = 0;
  pump_later();
  return {&entry.state, false, {}};
}

}  // namespace inkstone::serve
