// Who is next among the clients of a lane (the jobs of one size bucket and priority). Clients share
// a lane's time evenly, image by image, by virtual time: the lane's clock advances by each second
// that it is served, over the number of its clients. A client who comes starts at the clock. Each
// of its jobs begins where it stands by then: what the client has had, but for the job itself, and
// what its earlier jobs still need. The job that begins first goes first. So a client's only job
// waits for about one job of a client with many.
#pragma once

#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "serve/scheduling/job_entry.h"

namespace inkstone::serve {

class ClientShares {
 public:
  void joined(const JobEntry& entry);
  void ran(const JobEntry& entry, double seconds);  // in a run that took the lane so many
  void left(const JobEntry& entry);
  // Who has jobs, in whatever lane, the newcomer's client too, if there is one.
  int clients(const JobEntry* newcomer) const {
    return static_cast<int>(jobs_.size()) + (newcomer && !jobs_.contains(newcomer->job.client));
  }

  using SecondsLeft = std::function<double(const JobEntry&)>;
  struct Placed {
    const JobEntry* entry;
    Turn turn;
  };
  // The jobs of one lane by their turns. They exchange their ranks, so that the lane as a whole is
  // served as if nobody had gone before another. One that has not joined may be among them.
  std::vector<Placed> turns(std::vector<const JobEntry*> lane, const SecondsLeft& left) const;

 private:
  struct Account {
    double used = 0;  // by the lane's clock: its start, and what jobs that have left had
    int jobs = 0;
  };
  struct Lane {
    double clock = 0;
    int clients = 0;  // with jobs
    // Also of who has no jobs, but has had more than its share.
    std::map<std::string, Account, std::less<>> accounts{};
  };
  double used(const JobEntry& entry) const;  // of its client
  using LaneKey = std::pair<size_t, Priority>;
  static LaneKey key_of(const JobEntry& entry) { return {entry.bucket, entry.job.priority}; }

  std::map<LaneKey, Lane> lanes_;
  std::map<std::string, int, std::less<>> jobs_;  // by client
};

// A client's share of the time is the same in however many buckets it has jobs: to each it brings
// one over their number. By bucket.
std::vector<double> bucket_weights(size_t buckets, std::span<const JobEntry* const> jobs);

}  // namespace inkstone::serve
