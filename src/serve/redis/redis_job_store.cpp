#include "serve/redis/redis_job_store.h"

#include <charconv>
#include <cmath>

#include "base/error.h"
#include "serve/redis/ledger.h"
#include "serve/support/log.h"

namespace inkstone::serve {
namespace {

constexpr int kMaxNotices = 1000;

std::string prefix_of(const std::string& pool) { return "ink1:{" + pool + "}:"; }

std::string milliseconds(double seconds) {
  return std::to_string(static_cast<int64_t>(std::llround(std::min(seconds, 1e12) * 1000)));
}

std::string key_text(const JobKey& key) {
  const std::string image = std::to_string(key.image);
  return key.order + "." + (image.size() < 2 ? "0" : "") + image;
}

// The next values of a reply's list. Throws Error where it is not what it should be.
class Values {
 public:
  explicit Values(const RedisReply& reply) : items_(reply.items) {
    INKSTONE_CHECK(reply.kind == RedisReply::Kind::kList, "a reply that is no list");
  }
  bool more() const { return at_ < items_.size(); }
  const RedisReply& item() {
    INKSTONE_CHECK(more(), "a reply that is too short");
    return items_[at_++];
  }
  std::string text() {
    const RedisReply& value = item();
    INKSTONE_CHECK(value.kind == RedisReply::Kind::kText, "a reply with something else than a text");
    return value.text;
  }
  double number() {
    const RedisReply& value = item();
    if (value.kind == RedisReply::Kind::kNumber) return static_cast<double>(value.number);
    double number = 0;
    const auto [end, fault] = std::from_chars(value.text.data(), value.text.data() + value.text.size(), number);
    INKSTONE_CHECK(value.kind == RedisReply::Kind::kText && fault == std::errc() &&
                       end == value.text.data() + value.text.size() && std::isfinite(number),
                   "a reply with something else than a number");
    return number;
  }
  double seconds() { return number() / 1000; }
  int whole(int least = 0, int most = 1 << 30) {
    const double value = number();
    INKSTONE_CHECK(value == std::floor(value) && value >= least && value <= most, "a reply with the number ", value);
    return static_cast<int>(value);
  }
  bool flag() { return whole(0, 1) == 1; }
  JobKey key() { return key_of(text()); }

  static JobKey key_of(const std::string& text) {
    const size_t dot = text.find('.');
    int image = -1;
    if (dot != text.npos) std::from_chars(text.data() + dot + 1, text.data() + text.size(), image);
    JobKey key{text.substr(0, dot), image};
    INKSTONE_CHECK(image >= 0 && image < 100 && key_text(key) == text, "a reply with a wrong name of a job");
    return key;
  }

 private:
  const std::vector<RedisReply>& items_;
  size_t at_ = 0;
};

// One of these words, as its number.
int word_of(const RedisReply& reply, std::span<const std::string_view> words) {
  for (size_t i = 0; i < words.size(); i++)
    if (reply.kind == RedisReply::Kind::kText && reply.text == words[i]) return static_cast<int>(i);
  throw Error("a reply with a wrong word");
}

StoreFault fault_of(const RedisReply& error) {
  if (error.is_error("OOM")) return StoreFault::kFull;
  // It loads, follows another server, cannot write, or waits for a replica.
  for (const char* code :
       {"LOADING", "READONLY", "MASTERDOWN", "NOREPLICAS", "MISCONF", "BUSY", "TRYAGAIN", "CLUSTERDOWN"})
    if (error.is_error(code)) return StoreFault::kAway;
  return StoreFault::kBroken;
}

constexpr std::string_view kCancelWords[] = {"now", "ended", "unknown"};
constexpr std::string_view kSubmitWords[] = {"new",       "known",       "same",        "conflict",
                                             "cancelled", "images_full", "client_full", "queue_long"};
constexpr std::string_view kFinishWords[] = {"good", "done", "stale", "cancelled", "unknown"};
constexpr std::string_view kEndWords[] = {"done", "failed", "failed_now", "died", "returned"};
constexpr std::string_view kStageLetters = "qldfcp";

JobStage stage_of(const std::string& letter) {
  const size_t at = letter.size() == 1 ? kStageLetters.find(letter) : letter.npos;
  INKSTONE_CHECK(at != letter.npos, "a reply with a wrong stage");
  return static_cast<JobStage>(at);
}

LeasedJob lease_of(const RedisReply& reply) {
  Values values(reply);
  LeasedJob lease;
  lease.job = values.key();
  lease.token = values.text();
  lease.queue = values.text();
  lease.lane = values.text();
  lease.rows = values.whole();
  lease.attempt = values.whole();
  lease.deaths = values.whole();
  lease.alone = values.flag();
  lease.cut_short = values.flag();
  lease.age = values.seconds();
  if (const double left = values.seconds(); left >= 0) lease.start_within = left;
  lease.priority = static_cast<Priority>(values.whole(0, 2));
  lease.client = values.text();
  lease.request = values.text();
  return lease;
}

Notice notice_of(const std::string& text) {
  INKSTONE_CHECK(text.size() > 2 && text[1] == ' ', "a wrong notice");
  Notice notice;
  const size_t end = std::min(text.find(' ', 2), text.size());
  notice.job = Values::key_of(text.substr(2, end - 2));
  notice.kind = text[0] == 'c'   ? Notice::Kind::kCancelled
                : text[0] == 'x' ? Notice::Kind::kCutShort
                                 : Notice::Kind::kEnded;
  if (end < text.size()) notice.token = text.substr(end + 1);
  return notice;
}

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
  call<SubmitAnswer>("submit", false, std::move(words), std::move(done), [](const RedisReply& reply) {
    Values values(reply);
    SubmitAnswer answer;
    answer.state = static_cast<SubmitAnswer::State>(word_of(values.item(), kSubmitWords));
    if (answer.state == SubmitAnswer::State::kSame) answer.order = values.text();
    if (values.more()) answer.queue_seconds = values.seconds();
    if (values.more()) answer.images = values.whole();
    return answer;
  });
}

void RedisJobStore::cancel(const std::string& order, const std::string& client, const std::string& code,
                           Done<CancelAnswer> done) {
  call<CancelAnswer>("cancel", false, {order, client, code}, std::move(done),
                     [](const RedisReply& reply) { return static_cast<CancelAnswer>(word_of(reply, kCancelWords)); });
}

void RedisJobStore::cut_short(const std::string& order, const std::string& client, Done<CancelAnswer> done) {
  call<CancelAnswer>("cut_short", false, {order, client}, std::move(done),
                     [](const RedisReply& reply) { return static_cast<CancelAnswer>(word_of(reply, kCancelWords)); });
}

void RedisJobStore::states(std::vector<std::string> orders, Done<std::vector<OrderRecord>> done) {
  const size_t count = orders.size();
  call<std::vector<OrderRecord>>("states", true, std::move(orders), std::move(done), [count](const RedisReply& reply) {
    Values values(reply);
    std::vector<OrderRecord> records(count);
    for (OrderRecord& record : records) {
      record.images.resize(static_cast<size_t>(values.whole(0, 64)));
      record.known = !record.images.empty();
      for (JobState& image : record.images) {
        image.stage = stage_of(values.text());
        image.attempt = values.whole();
        image.deaths = values.whole();
        image.result = values.text();
        image.code = values.text();
      }
    }
    return records;
  });
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
  call<std::vector<LeasedJob>>("lease", false, std::move(words), std::move(done), [](const RedisReply& reply) {
    std::vector<LeasedJob> leases;
    for (Values values(reply); values.more();) leases.push_back(lease_of(values.item()));
    return leases;
  });
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
  call<BeatAnswer>("beat", false, std::move(words), std::move(done), [](const RedisReply& reply) {
    Values values(reply);
    BeatAnswer answer;
    for (std::string key = values.text(); !key.empty(); key = values.text()) answer.gone.push_back(Values::key_of(key));
    while (values.more()) {
      HeldJob& job = answer.unnamed.emplace_back();
      job.job = values.key();
      job.token = values.text();
    }
    return answer;
  });
}

void RedisJobStore::finish(const std::string& host, HeldJob job, JobEnd end, std::string result,
                           Done<FinishAnswer> done) {
  call<FinishAnswer>("finish", false,
                     {host, job.job.order, std::to_string(job.job.image), job.token,
                      std::string(kEndWords[static_cast<size_t>(end)]), std::move(result)},
                     std::move(done),
                     [](const RedisReply& reply) { return static_cast<FinishAnswer>(word_of(reply, kFinishWords)); });
}

void RedisJobStore::notices(const std::string& who, Done<std::vector<Notice>> done) {
  call<std::vector<Notice>>("notices", false, {who, std::to_string(kMaxNotices)}, std::move(done),
                            [](const RedisReply& reply) {
                              std::vector<Notice> notices;
                              for (Values values(reply); values.more();) notices.push_back(notice_of(values.text()));
                              return notices;
                            });
}

void RedisJobStore::figures(Done<StoreFigures> done) {
  call<StoreFigures>("figures", true, {}, std::move(done), [](const RedisReply& reply) {
    Values values(reply);
    StoreFigures figures;
    figures.orders = values.whole();
    figures.images = values.whole();
    for (int64_t* count :
         {&figures.done, &figures.failed, &figures.cancelled, &figures.poison, &figures.deaths, &figures.stale})
      *count = static_cast<int64_t>(values.number());
    while (values.more()) {
      Values of(values.item());
      QueueFigures& queue = figures.queues.emplace_back();
      queue.queue = of.text();
      queue.queued = of.whole();
      queue.leased = of.whole();
      queue.seconds_queued = of.seconds();
      queue.hosts = of.whole();
      queue.speed = of.number();
      queue.seconds_left = of.seconds();
    }
    return figures;
  });
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
