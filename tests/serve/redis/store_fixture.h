// Both job stores behind one door, in virtual time: what the contract says must hold for each.
#pragma once

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "serve/jobs/job_store.h"

namespace inkstone::serve {

class AnyStore {
 public:
  virtual ~AnyStore() = default;
  virtual JobStore& store() = 0;
  virtual void set_clock(double seconds) = 0;

  // The answer of a call, as `ask<CancelAnswer>([&](auto done) { store().cancel("a", "b", "c", done); })`.
  template <typename Answer, typename Call>
  Answer ask(Call call) {
    std::optional<StoreReply<Answer>> reply;
    call(Done<Answer>([&](StoreReply<Answer> said) { reply = std::move(said); }));
    EXPECT_FALSE(reply.has_value()) << "answered from inside the call";
    events.restart();
    while (!reply) events.run_one();
    EXPECT_TRUE(reply->answer.has_value()) << "fault " << static_cast<int>(reply->fault);
    return reply->answer.value_or(Answer{});
  }

  // As time passes, "gateway" beats each second.
  void advance(double seconds);

  SubmitAnswer submit(NewOrder order);
  CancelAnswer cancel(const std::string& order, const std::string& client = "client");
  CancelAnswer cut_short(const std::string& order);
  std::vector<LeasedJob> lease(LeaseRequest request);
  BeatAnswer beat(const std::string& host, const std::vector<HeldJob>& held = {}, HostFigures figures = {});
  FinishAnswer finish(const LeasedJob& lease, JobEnd end = JobEnd::kDone, const std::string& result = "result");
  void gateway_beat(const std::string& gateway);
  JobState state(const std::string& order, int image = 0);
  bool knows(const std::string& order);
  std::vector<Notice> notices(const std::string& who);
  StoreFigures figures();
  std::string check();

  boost::asio::io_context events;
  double clock = 1000;
};

enum class StoreKind { kMemory, kRedis };
// What has ended is kept for so many seconds: of virtual time in memory, of real time on Redis.
std::unique_ptr<AnyStore> make_store(StoreKind kind, double kept_seconds = 600);

// An order of one image, client "client" and gateway "gateway", in the queue "queue" and the lane "64x64".
NewOrder order_of(const std::string& id, int images = 1);
LeaseRequest lease_of(const std::string& host, int max_jobs = 16);
HeldJob held_of(const LeasedJob& lease, bool begun = true);

class JobStores : public testing::TestWithParam<StoreKind> {
 protected:
  void SetUp() override;
  void TearDown() override;
  AnyStore& at() { return *store_; }

 private:
  std::unique_ptr<AnyStore> store_;
};

}  // namespace inkstone::serve
