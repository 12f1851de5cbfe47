// Who is let in: what an order may ask, how much of it, and whose device takes it.
#include <algorithm>
#include <limits>
#include <sstream>

#include "base/error.h"
#include "diffusion/scheduler.h"
#include "serve/gateway/gateway_impl.h"
#include "serve/log.h"

namespace inkstone {
namespace {

constexpr size_t kMostPrompt = 32 << 10;  // bytes, both prompts: a worker's order is one packet
constexpr double kNever = std::numeric_limits<double>::infinity();

int unet_calls(const PictureRequest& request, const ModelCard& card) {
  SchedulerConfig config;
  const std::string& name = request.scheduler.empty() ? card.scheduler : request.scheduler;
  if (!name.empty()) config.kind = scheduler_kind(name);
  return static_cast<int>(make_scheduler(config, request.steps)->timesteps().size());
}

Rejection rejection_of(const Admission& admission) {
  switch (admission.refusal) {
    case Refusal::kQueueFull:
      return {"queue_full", "the queue is full: try again in a while", "", std::max(1.0, admission.retry_after)};
    case Refusal::kTooLong:
      return {"too_long", "it would take longer than this server lets anyone wait: try again in a while", "",
              std::max(1.0, admission.retry_after)};
    case Refusal::kDeadline:
      return {"deadline", "it cannot be done in time: allow more time, or try again in a while", "deadline",
              std::max(1.0, admission.retry_after)};
    case Refusal::kTooManyRows:
      return {"invalid",
              "the device has not the memory for a picture of this size with guidance: ask for a smaller one", "width"};
    case Refusal::kNone:
    case Refusal::kKnown:
    case Refusal::kNoLane: break;
  }
  return {"invalid", "this cannot be drawn here", ""};
}

template <typename... Parts>
std::string text_of(const Parts&... parts) {
  std::ostringstream text;
  (text << ... << parts);
  return text.str();
}

}  // namespace

Rejection Gateway::Impl::invalid(const PictureRequest& request) const {
  const auto side = [&](int pixels, const char* name) -> Rejection {
    if (pixels >= card->size_multiple && pixels <= std::min(settings.most_side, card->most_side) &&
        pixels % card->size_multiple == 0)
      return {};
    return {"invalid",
            text_of(name, " ", pixels, " must be a multiple of ", card->size_multiple, " up to ",
                    std::min(settings.most_side, card->most_side)),
            name};
  };
  for (Rejection rejection : {side(request.width, "width"), side(request.height, "height")})
    if (!rejection.code.empty()) return rejection;
  const int64_t pixels = int64_t{request.width} * request.height;
  const int64_t most = card->most_pixels > 0 ? std::min(settings.most_pixels, card->most_pixels) : settings.most_pixels;
  if (pixels > most)
    return {"invalid", text_of(request.width, " x ", request.height, " are ", pixels, " pixels: at most ", most),
            "width"};
  if (request.steps < 1 || request.steps > settings.most_steps)
    return {"invalid", text_of("steps ", request.steps, " must be from 1 to ", settings.most_steps), "steps"};
  if (request.prompt.size() + request.negative_prompt.size() > kMostPrompt)
    return {"invalid", text_of("the prompts have more than ", kMostPrompt, " bytes"), "prompt"};
  try {
    unet_calls(request, *card);
  } catch (const Error& error) {
    return {"invalid", error.what(), "scheduler"};
  }
  return {};
}

double Gateway::Impl::seconds_to_room() const {
  double first = kNever;
  for (const auto& slot : slots)
    if (slot->accepts())
      for (const auto& [job, end] : slot->forecast()) first = std::min(first, end - now());
  return first < kNever ? std::max(1.0, first) : 5;
}

Rejection Gateway::Impl::refusal(const Order& order) {
  const int pictures = static_cast<int>(order.pictures.size());
  if (draining || stopped) return {"draining", "this server is shutting down: ask another", "", 5};
  if (!card) return {"not_ready", "the model is being loaded: try again in a moment", "", 5};
  if (pictures < 1 || pictures > settings.most_pictures)
    return {"invalid", text_of(pictures, " pictures: from 1 to ", settings.most_pictures, " in one order"), "n"};
  for (const PictureRequest& request : order.pictures)
    if (Rejection rejection = invalid(request); !rejection.code.empty()) return rejection;
  if (order.deadline && *order.deadline <= 0) return {"deadline", "the deadline has passed already", "deadline"};
  if (book.live_pictures(order.client) + pictures > settings.most_per_client)
    return {"quota",
            text_of("you have ", book.live_pictures(order.client), " pictures under way, of at most ",
                    settings.most_per_client, ": wait for some, or cancel them"),
            "", seconds_to_room()};
  if (book.live_pictures() + pictures > settings.most_queue)
    return {"queue_full",
            text_of("the queue is full, with ", book.live_pictures(), " pictures of at most ", settings.most_queue), "",
            seconds_to_room()};
  return {};
}

Placed Gateway::Impl::refuse(Rejection rejection) {
  tally.rejected[rejection.code]++;
  return {nullptr, false, std::move(rejection)};
}

BatchJob Gateway::Impl::batch_job(const PictureRequest& request, Priority priority, std::optional<double> deadline) {
  BatchJob job;
  job.id = next_job++;
  job.lane = {card->name, request.width, request.height};
  job.rows = request.guidance > 1 && !card->distilled ? 2 : 1;
  job.calls_left = unet_calls(request, *card);
  job.priority = priority;
  job.arrival = now();
  if (deadline) job.deadline = now() + *deadline;
  return job;
}

std::vector<LiveJob> Gateway::Impl::jobs_of(const Order& order) {
  std::vector<LiveJob> made;
  for (const PictureRequest& request : order.pictures) {
    made.push_back({batch_job(request, order.priority, order.deadline), request});
    made.back().picture = made.size() - 1;
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
    job.lane.model = slot->hello()->model.name;
    const Admission found = slot->consider(job);
    const bool better = found.accepted() ? !best || found.end < admission->end : !best;
    if (!better) continue;
    *admission = found;
    best = found.accepted() ? slot.get() : nullptr;
  }
  if (best) job.lane.model = best->hello()->model.name;
  return best;
}

// All or none of them. Where no worker is ready they wait for one.
Rejection Gateway::Impl::let_in(std::vector<LiveJob>& made) {
  if (!any_accepts()) return {};
  for (LiveJob& job : made) {
    Admission admission;
    job.slot = best_slot(job.batch, &admission);
    if (job.slot) {
      job.slot->take(job.batch);
      continue;
    }
    for (LiveJob& earlier : made)
      if (earlier.slot) earlier.slot->withdraw(earlier.batch.id);
    return rejection_of(admission);
  }
  return {};
}

Placed Gateway::Impl::place(Order order) {
  bool same = false;
  if (OrderEntry* known = book.repeated(order, &same)) {
    if (same) return {&known->state, true, {}};
    return refuse({"conflict", "this idempotency key was used for another request: use a new one", "idempotency_key"});
  }
  if (Rejection rejection = refusal(order); !rejection.code.empty()) return refuse(std::move(rejection));
  std::vector<LiveJob> made = jobs_of(order);
  if (Rejection rejection = let_in(made); !rejection.code.empty()) return refuse(std::move(rejection));
  OrderEntry& entry = book.add(std::move(order), now());
  for (LiveJob& job : made) {
    job.order = &entry;
    entry.jobs.push_back(job.batch.id);
    entry.state.pictures[job.picture].calls = job.batch.calls_left;
    submit(std::move(job));
  }
  const Order& placed = entry.state.order;
  log_line(LogLevel::kInfo, "order_placed",
           {{"request", placed.request_id},
            {"job", entry.state.id},
            {"client", placed.client},
            {"api", placed.api},
            {"pictures", placed.pictures.size()},
            {"prompt", settings.log_prompts ? placed.pictures[0].prompt : "-"}});
  foreseen = 0;
  course_later();
  return {&entry.state, false, {}};
}

}  // namespace inkstone
