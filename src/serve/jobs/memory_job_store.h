// The job store of one process, for `inkstone serve` and for tests. It has no thread and no clock of its own.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "serve/jobs/job_records.h"

namespace inkstone::serve {

class MemoryJobStore final : public JobStore {
 public:
  // `now`: seconds, never less than before. `post` calls later, on the event thread; the store may be gone then.
  MemoryJobStore(StoreSettings settings, std::function<double()> now, std::function<void(std::function<void()>)> post);

  void submit(NewOrder order, Done<SubmitAnswer> done) override;
  void cancel(const std::string& order, const std::string& client, const std::string& code,
              Done<CancelAnswer> done) override;
  void cut_short(const std::string& order, const std::string& client, Done<CancelAnswer> done) override;
  void states(std::vector<std::string> orders, Done<std::vector<OrderRecord>> done) override;
  void release(const std::string& order, Done<Told> done) override;
  void redraw(JobKey job, Done<bool> done) override;
  void gateway_beat(const std::string& gateway, Done<Told> done) override;
  void lease(LeaseRequest request, Done<std::vector<LeasedJob>> done) override;
  void beat(const std::string& host, const std::vector<std::string>& queues, const HostFigures& figures,
            const std::vector<HeldJob>& held, Done<BeatAnswer> done) override;
  void finish(const std::string& host, HeldJob job, JobEnd end, std::string result, Done<FinishAnswer> done) override;
  void notices(const std::string& who, Done<std::vector<Notice>> done) override;
  void figures(Done<StoreFigures> done) override;
  void check(Done<std::string> done) override;

 private:
  void tick() { records_.tick(now_()); }
  SubmitAnswer admit(NewOrder& order);
  std::vector<LeasedJob> take(const LeaseRequest& request);
  template <typename Answer>
  void answer(Done<Answer>& done, Answer value) {
    post_([done = std::move(done), value = std::move(value)]() mutable { done({std::move(value)}); });
  }

  JobRecords records_;
  std::function<double()> now_;
  std::function<void(std::function<void()>)> post_;
};

}  // namespace inkstone::serve
