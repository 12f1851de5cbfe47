#include "load/load_run.h"

#include <boost/asio/steady_timer.hpp>
#include <cstdio>
#include <cstdlib>

#include "base/error.h"
#include "base/json.h"
#include "base/utf8.h"

namespace inkstone {
namespace {

using Seconds = std::chrono::duration<double>;

// "nan_output" of {"error":{"code":"nan_output",...}}; else the text, cut.
std::string reason_of(const std::string& text) {
  try {
    const Json value = parse_json(text, "error");
    const Json* error = value.is_object() ? value.get_object().if_contains("error") : nullptr;
    for (const Json* place : {error, &value})
      if (place && place->is_object())
        if (const Json* code = place->get_object().if_contains("code"); code && code->is_string())
          return std::string(code->get_string());
  } catch (const Error&) {
  }
  return shown(text);
}

std::string size_text(const LoadRequest& request) {
  return request.width > 0 ? std::to_string(request.width) + "x" + std::to_string(request.height) : "default";
}

}  // namespace

Clock::time_point LoadRun::moment(double seconds) const {
  return start_ + std::chrono::duration_cast<Clock::duration>(Seconds(seconds));
}

double LoadRun::seconds_at(Clock::time_point moment) const { return Seconds(moment - start_).count(); }

std::string LoadRun::hash_of(const std::vector<std::string>& answers, int images) const {
  std::string hash;
  int found = 0;
  for (const std::string& answer : answers)
    for (const std::string& png : images_of(answer)) {
      hash += (hash.empty() ? "" : ",") + pixel_hash(png);
      ++found;
    }
  INKSTONE_CHECK(found == images, found, " images came, ", images, " were asked for");
  return hash;
}

void LoadRun::run_solo(double slo_scale) {
  for (LoadRequest& request : plan_.requests) {
    start_ = Clock::now();
    CallResult result;
    start_call(events_, plan_.target,
               {written(request, plan_.wording), plan_.wording.stream && plan_.wording.dialect == Dialect::kGenerate,
                moment(plan_.timeout)},
               [&](CallResult got) { result = std::move(got); });
    events_.restart();
    events_.run();
    const std::string said = !result.error.empty() ? result.error : result.answers.empty() ? "" : result.answers[0];
    INKSTONE_CHECK(result.end == CallResult::End::kAnswered && result.status == 200 && result.error.empty(), "alone, ",
                   request.key(), " gave no image: status ", result.status, " ", reason_of(said));
    const std::string hash = hash_of(result.answers, request.images);
    INKSTONE_CHECK(hashes_.check(request.key(), hash) != HashStore::Verdict::kDifferent, "alone, ", request.key(),
                   " gave another image than is stored for it");
    if (!request.slo && slo_scale > 0) request.slo = slo_scale * seconds_at(result.ended);
  }
}

std::vector<Record> LoadRun::run() {
  records_.assign(plan_.times.size(), {});
  give_up_.assign(plan_.times.size(), 0);
  Dice dice(plan_.seed + 1);
  for (size_t i = 0; i < records_.size(); ++i) {
    const LoadRequest& request = plan_.requests[plan_.which[i]];
    records_[i].intended = plan_.times[i];
    records_[i].size = size_text(request);
    records_[i].images = request.images;
    records_[i].slo = request.slo;
    const double chance = dice.uniform(), part = dice.uniform();
    if (chance < plan_.aborts) give_up_[i] = std::max(part * plan_.abort_within, 1e-6);
  }
  next_ = 0;
  start_ = Clock::now();
  const double last = (plan_.times.empty() ? 0 : plan_.times.back()) + plan_.timeout + 5;
  while ((next_ < records_.size() || open_ > 0 || !answered_.empty()) && seconds_at(Clock::now()) < last) {
    send_next();
    show_progress(seconds_at(Clock::now()));
    events_.restart();
    if (events_.poll() > 0) continue;
    if (!answered_.empty()) {
      look_at(answered_.front());
      answered_.pop_front();
      continue;
    }
    const double pause = next_ < records_.size() ? plan_.times[next_] - seconds_at(Clock::now()) : 0.05;
    if (pause <= 0) continue;
    boost::asio::steady_timer timer(events_,
                                    std::chrono::duration_cast<Clock::duration>(Seconds(std::min(pause, 0.05))));
    timer.async_wait([](boost::system::error_code) {});
    events_.restart();
    events_.run_one();
  }
  INKSTONE_CHECK(open_ == 0 && answered_.empty(), "the run went past its end with ", open_, " requests open");
  return std::move(records_);
}

void LoadRun::send_next() {
  for (; next_ < records_.size() && plan_.times[next_] <= seconds_at(Clock::now()); ++next_) send(next_);
}

void LoadRun::send(size_t index) {
  Record& record = records_[index];
  const LoadRequest& request = plan_.requests[plan_.which[index]];
  record.lag = seconds_at(Clock::now()) - record.intended;
  if (open_ >= plan_.max_open) {
    record.fate = Fate::kNotSent;
    return;
  }
  CallSpec spec{written(request, plan_.wording), plan_.wording.stream && plan_.wording.dialect == Dialect::kGenerate,
                moment(record.intended + plan_.timeout)};
  if (give_up_[index] > 0) spec.give_up = moment(record.intended + give_up_[index]);
  ++open_;
  start_call(events_, plan_.target, std::move(spec),
             [this, index](CallResult result) { take(index, std::move(result)); });
}

void LoadRun::take(size_t index, CallResult result) {
  --open_;
  Record& record = records_[index];
  record.status = result.status;
  record.total = seconds_at(result.ended) - record.intended;
  if (result.first_step) record.first_step = seconds_at(*result.first_step) - record.intended;
  using End = CallResult::End;
  if (result.end == End::kGaveUp) {
    record.fate = Fate::kAborted;
  } else if (result.end == End::kTimedOut) {
    record.fate = Fate::kTimedOut;
  } else if (result.status == 429 || result.status == 503) {
    record.fate = Fate::kRejected;
  } else if (result.end == End::kBroken || result.status != 200 || !result.error.empty()) {
    record.fate = Fate::kFailed;
    record.detail = !result.error.empty() ? reason_of(result.error) : std::to_string(result.status);
  } else {
    answered_.push_back({index, std::move(result.answers)});
  }
}

void LoadRun::look_at(const Answered& answered) {
  Record& record = records_[answered.record];
  const LoadRequest& request = plan_.requests[plan_.which[answered.record]];
  try {
    const std::string hash = hash_of(answered.answers, request.images);
    record.fate = Fate::kOk;
    if (!plan_.verify || hashes_.check(request.key(), hash) != HashStore::Verdict::kDifferent) return;
    record.fate = Fate::kWrong;
    record.detail = request.key();
  } catch (const Error& error) {
    record.fate = Fate::kFailed;
    record.detail = error.what();
  }
}

void LoadRun::show_progress(double now) {
  if (plan_.progress_seconds <= 0 || now < shown_ + plan_.progress_seconds) return;
  shown_ = now;
  int64_t fates[kFates] = {};
  for (size_t i = 0; i < next_; ++i) ++fates[static_cast<int>(records_[i].fate)];
  const auto of = [&](Fate fate) { return static_cast<long long>(fates[static_cast<int>(fate)]); };
  std::fprintf(stderr,
               "%6.0f s  sent %zu of %zu, open %d, ok %lld, rejected %lld, failed %lld, wrong %lld, aborted %lld\n",
               now, next_, records_.size(), open_, of(Fate::kOk) - open_ - static_cast<long long>(answered_.size()),
               of(Fate::kRejected), of(Fate::kFailed) + of(Fate::kTimedOut), of(Fate::kWrong), of(Fate::kAborted));
}

}  // namespace inkstone
