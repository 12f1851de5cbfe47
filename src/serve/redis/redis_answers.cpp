#include "serve/redis/redis_answers.h"

#include <charconv>
#include <cmath>

#include "base/error.h"

namespace inkstone::serve {
namespace {

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
    INKSTONE_CHECK(image >= 0 && image < 100 && dot > 0 && key_text(key) == text, "a reply with a wrong name of a job");
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

constexpr std::string_view kCancelWords[] = {"now", "ended", "unknown"};
constexpr std::string_view kSubmitWords[] = {"new",       "known",       "same",        "conflict",
                                             "cancelled", "images_full", "client_full", "queue_long"};
constexpr std::string_view kFinishWords[] = {"good", "done", "stale", "cancelled", "unknown"};
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

std::string key_text(const JobKey& key) {
  const std::string image = std::to_string(key.image);
  return key.order + "." + (image.size() < 2 ? "0" : "") + image;
}

SubmitAnswer submit_answer(const RedisReply& reply) {
  Values values(reply);
  SubmitAnswer answer;
  answer.state = static_cast<SubmitAnswer::State>(word_of(values.item(), kSubmitWords));
  if (answer.state == SubmitAnswer::State::kSame) answer.order = values.text();
  if (values.more()) answer.queue_seconds = values.seconds();
  if (values.more()) answer.images = values.whole();
  return answer;
}

CancelAnswer cancel_answer(const RedisReply& reply) { return static_cast<CancelAnswer>(word_of(reply, kCancelWords)); }
FinishAnswer finish_answer(const RedisReply& reply) { return static_cast<FinishAnswer>(word_of(reply, kFinishWords)); }

std::vector<OrderRecord> states_answer(const RedisReply& reply, size_t orders) {
  Values values(reply);
  std::vector<OrderRecord> records(orders);
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
}

std::vector<LeasedJob> lease_answer(const RedisReply& reply) {
  std::vector<LeasedJob> leases;
  for (Values values(reply); values.more();) leases.push_back(lease_of(values.item()));
  return leases;
}

BeatAnswer beat_answer(const RedisReply& reply) {
  Values values(reply);
  BeatAnswer answer;
  for (std::string key = values.text(); !key.empty(); key = values.text()) answer.gone.push_back(Values::key_of(key));
  while (values.more()) {
    HeldJob& job = answer.unnamed.emplace_back();
    job.job = values.key();
    job.token = values.text();
  }
  return answer;
}

std::vector<Notice> notices_answer(const RedisReply& reply) {
  std::vector<Notice> notices;
  for (Values values(reply); values.more();) notices.push_back(notice_of(values.text()));
  return notices;
}

StoreFigures figures_answer(const RedisReply& reply) {
  Values values(reply);
  StoreFigures figures;
  figures.orders = values.whole();
  figures.images = values.whole();
  for (int64_t* count :
       {&figures.done, &figures.failed, &figures.cancelled, &figures.poison, &figures.deaths, &figures.stale})
    *count = values.whole(INT32_MIN, INT32_MAX);
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
}

}  // namespace inkstone::serve
