// Sends what was planned when it was planned, and records what became of it. One thread; images are
// looked at when nothing else is to be done, so that decoding delays neither sending nor measuring
// by more than one image.
#pragma once

#include <deque>
#include <vector>

#include "load/call.h"
#include "load/hash_store.h"
#include "load/record.h"

namespace inkstone {

struct LoadPlan {
  Target target;
  Wording wording;
  std::vector<LoadRequest> requests;
  std::vector<double> times;  // of each sending, rising
  std::vector<size_t> which;  // of the requests, for each sending
  double timeout = 120;       // seconds; from the intended moment
  // The part of all whose sender goes away,.
  double aborts = 0;
  // At a random moment of so many seconds after the intended one.
  double abort_within = 1;
  // Connections; what comes on top is not sent, and counted.
  int max_open = 1000;
  bool verify = false;  // against the store
  uint64_t seed = 1;
  // Between lines on standard error; 0: none.
  double progress_seconds = 5;
};

class LoadRun {
 public:
  LoadRun(LoadPlan plan, HashStore& hashes) : plan_(std::move(plan)), hashes_(hashes) {}
  // Each request once, alone, before anything else: its hash is kept and, where it has no SLO and
  // scale > 0, its SLO is scale times what it took. Throws Error for the first that gives no image.
  void run_solo(double slo_scale);
  // Ends at the latest `timeout` after the last intended moment.
  std::vector<Record> run();

 private:
  struct Answered {  // waits to be looked at
    size_t record;
    std::vector<std::string> answers;
  };

  void send_next();
  void send(size_t index);
  void take(size_t index, CallResult result);
  void look_at(const Answered& answered);
  std::string hash_of(const std::vector<std::string>& answers, int images) const;
  void show_progress(double now);
  Clock::time_point moment(double seconds) const;
  double seconds_at(Clock::time_point moment) const;

  LoadPlan plan_;
  HashStore& hashes_;
  boost::asio::io_context events_{1};
  Clock::time_point start_{};
  std::vector<Record> records_;
  // Seconds after the intended moment; 0: never.
  std::vector<double> give_up_;
  std::deque<Answered> answered_;
  size_t next_ = 0;
  int open_ = 0;
  double shown_ = 0;
};

}  // namespace inkstone
