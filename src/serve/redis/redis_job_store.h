// The job store that machines share: the functions of ledger.lua on a Redis server.
#pragma once

#include <string>

#include "serve/jobs/job_store.h"
#include "serve/redis/redis_connection.h"

namespace inkstone::serve {

class RedisJobStore final : public JobStore {
 public:
  // All stores of a pool share their orders. The connection outlives this.
  RedisJobStore(RedisConnection& connection, std::string pool);

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
  template <typename Answer, typename Read>
  void call(const char* function, bool reads, std::vector<std::string> arguments, Done<Answer> done, Read read);

  RedisConnection& connection_;
  const std::string prefix_;
};

// What the server's functions are loaded from: ledger.lua.
std::string_view redis_library();
// What `inkstone fleet init` does: loads the functions and writes the fleet's settings.
void set_up_redis(RedisConnection& connection, const std::string& pool, const StoreSettings& settings, Done<Told> done);

}  // namespace inkstone::serve
