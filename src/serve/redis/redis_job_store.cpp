#include "serve/redis/redis_job_store.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "serve/redis/ledger.h"
#include "serve/redis/redis_answers.h"
#include "serve/support/log.h"

namespace inkstone::serve {
namespace {

constexpr int kNoticesAtOnce = 1000;

std::string prefix_of(const std::string& pool) { return "ink1:{" + pool + "}:"; }

std::string milliseconds(double seconds) {
  return std::to_string(static_cast<int64_t>(std::llround(std::min(seconds, 1e12) * 1000)));
}

StoreFault fault_of(const RedisReply& error) {
  if (error.is_error("OOM")) return StoreFault::kFull;
  // It loads, follows another server, cannot write, or waits for a replica.
  for (const char* code :
       {"LOADING", "READONLY", "MASTERDOWN", "NOREPLICAS", "MISCONF", "BUSY", "TRYAGAIN", "CLUSTERDOWN"})
    if (error.is_error(code)) return StoreFault::kAway;
  return StoreFault::kBroken;
}

constexpr std::string_view kEndWords[] = {"done", "failed", "failed_now", "died", "returned"};

}  // namespace

RedisJobStore::RedisJobStore(RedisConnection& connection, std::string pool)
    : connection_(connection), prefix_(prefix_of(pool)) {}

// `read` makes the answer of the reply, and throws Error where that is not what it should be.
template <typename Answer, typename Read>
void RedisJobStore::call(const char* function, bool reads, std::vector<std::string> arguments, Done<Answer> done,
                         Read read) {
  std::vector<std::string> words{reads ? "FCALL_RO" : "FCALL", std::string("ink1_") + function, "1", prefix_};
  words.insert(words.end(), std::make_move_iterator(arguments.begin()), std::make_move_iterator(arguments.end()));
  connection_.call(std::move(words), [this, function, done = std::move(done),
                                      read = std::move(read)](std::optional<RedisReply> reply) {
    if (!reply) return done({std::nullopt, StoreFault::kAway});
    std::string problem = reply->text;
    if (reply->kind != RedisReply::Kind::kError) {
      try {
        return done({read(*reply)});
      } catch (const Error& error) {
        problem = error.what();
      }
    }
    const StoreFault fault = reply->kind == RedisReply::Kind::kError ? fault_of(*reply) : StoreFault::kBroken;
    log_line(LogLevel::kError, "redis_call", {{"function", function}, {"problem", problem}});
    if (reply->is_error("READONLY") || reply->is_error("MASTERDOWN")) connection_.reconnect(problem);
    done({std::nullopt, fault});
  });
}

void RedisJobStore::submit(NewOrder order, Done<SubmitAnswer> done) {
  INKSTONE_CHECK(!order.jobs.empty() && order.jobs.size() <= 64, "an order of ", order.jobs.size(), " images");
  const AdmissionLimits& limits = order.limits;
  std::vector<std::string> words{order.gateway,
                                 order.id,
                                 order.client,
                                 order.idempotency,
                                 order.digest,
                                 order.stays ? "1" : "0",
                                 std::to_string(static_cast<int>(order.priority)),
                                 order.latest_start ? milliseconds(std::max(0.0, *order.latest_start)) : "-1",
                                 order.queue,
                                 std::to_string(limits.max_images),
                                 std::to_string(limits.max_per_client),
                                 milliseconds(limits.max_queue_seconds),
                                 std::to_string(order.jobs.size())};
  for (NewJob& job : order.jobs) {
    words.insert(words.end(), {job.lane, std::to_string(job.rows), milliseconds(job.seconds)});
    words.push_back(std::move(job.request));
  }
  call<SubmitAnswer>("submit", false, std::move(words), std::move(done), submit_answer);
}

void RedisJobStore::cancel(const std::string& order, const std::string& client, const std::string& code,
                           Done<CancelAnswer> done) {
  call<CancelAnswer>("cancel", false, {order, client, code}, std::move(done), cancel_answer);
}

void RedisJobStore::cut_short(const std::string& order, const std::string& client, Done<CancelAnswer> done) {
  call<CancelAnswer>("cut_short", false, {order, client}, std::move(done), cancel_answer);
}

void RedisJobStore::states(std::vector<std::string> orders, Done<std::vector<OrderRecord>> done) {
  const size_t count = orders.size();
  call<std::vector<OrderRecord>>("states", true, std::move(orders), std::move(done),
                                 [count](const RedisReply& reply) { return states_answer(reply, count); });
}

void RedisJobStore::release(const std::string& order, Done<Told> done) {
  call<Told>("release", false, {order}, std::move(done), [](const RedisReply&) { return Told{}; });
}

void RedisJobStore::redraw(JobKey job, Done<bool> done) {
  call<bool>("redraw", false, {job.order, std::to_string(job.image)}, std::move(done),
             [](const RedisReply& reply) { return reply.number == 1; });
}

void RedisJobStore::gateway_beat(const std::string& gateway, Done<Told> done) {
  call<Told>("gateway_beat", false, {gateway}, std::move(done), [](const RedisReply&) { return Told{}; });
}

void RedisJobStore::lease(LeaseRequest request, Done<std::vector<LeasedJob>> done) {
  std::vector<std::string> words{request.host,
                                 std::to_string(request.max_jobs),
                                 std::to_string(request.max_rows),
                                 milliseconds(request.patience),
                                 std::to_string(request.other_rows),
                                 std::to_string(request.queues.size())};
  words.insert(words.end(), request.queues.begin(), request.queues.end());
  words.push_back(std::to_string(request.lanes.size()));
  for (const LaneCredit& lane : request.lanes) words.insert(words.end(), {lane.lane, std::to_string(lane.rows)});
  call<std::vector<LeasedJob>>("lease", false, std::move(words), std::move(done), lease_answer);
}

void RedisJobStore::beat(const std::string& host, const std::vector<std::string>& queues, const HostFigures& figures,
                         const std::vector<HeldJob>& held, Done<BeatAnswer> done) {
  std::vector<std::string> words{host,
                                 std::to_string(figures.speed),
                                 milliseconds(figures.seconds_left),
                                 std::to_string(figures.rows),
                                 figures.draining ? "1" : "0",
                                 figures.device,
                                 figures.build,
                                 std::to_string(queues.size())};
  words.insert(words.end(), queues.begin(), queues.end());
  for (const HeldJob& one : held) words.insert(words.end(), {key_text(one.job), one.token, one.begun ? "1" : "0"});
  call<BeatAnswer>("beat", false, std::move(words), std::move(done), beat_answer);
}

void RedisJobStore::finish(const std::string& host, HeldJob job, JobEnd end, std::string result,
                           Done<FinishAnswer> done) {
  call<FinishAnswer>("finish", false,
                     {host, job.job.order, std::to_string(job.job.image), job.token,
                      std::string(kEndWords[static_cast<size_t>(end)]), std::move(result)},
                     std::move(done), finish_answer);
}

void RedisJobStore::notices(const std::string& who, Done<std::vector<Notice>> done) {
  call<std::vector<Notice>>("notices", false, {who, std::to_string(kNoticesAtOnce)}, std::move(done), notices_answer);
}

void RedisJobStore::figures(Done<StoreFigures> done) {
  call<StoreFigures>("figures", true, {}, std::move(done), figures_answer);
}

void RedisJobStore::check(Done<std::string> done) {
  call<std::string>("check", true, {}, std::move(done), [](const RedisReply& reply) {
    INKSTONE_CHECK(reply.kind == RedisReply::Kind::kText, "a reply that is no text");
    return reply.text;
  });
}

std::string_view redis_library() { return ledger_files().front().bytes; }

void set_up_redis(RedisConnection& connection, const std::string& pool, const StoreSettings& settings,
                  Done<Told> done) {
  const auto said = [done](const char* what, std::optional<RedisReply> reply, const auto& then) {
    if (!reply) return done({std::nullopt, StoreFault::kAway});
    if (reply->kind != RedisReply::Kind::kError) return then();
    log_line(LogLevel::kError, "redis_call", {{"function", what}, {"problem", reply->text}});
    done({std::nullopt, fault_of(*reply)});
  };
  connection.call({"FUNCTION", "LOAD", "REPLACE", std::string(redis_library())}, [=, &connection](
                                                                                     std::optional<RedisReply> reply) {
    said("FUNCTION LOAD", std::move(reply), [&] {
      connection.call({"HSET", prefix_of(pool) + "cfg", "lease", milliseconds(settings.lease_seconds), "kept",
                       milliseconds(settings.kept_seconds), "deaths", std::to_string(settings.max_deaths), "redraws",
                       std::to_string(settings.max_redraws)},
                      [=](std::optional<RedisReply> set) { said("HSET", std::move(set), [&] { done({Told{}}); }); });
    });
  });
}

}  // namespace inkstone::serve
