// The gateway's inside, for its own sources only: gateway.cpp has the interface,
// gateway_admission.cpp the admission of orders, gateway_jobs.cpp what workers report,
// gateway_pump.cpp what time brings, gateway_repair.cpp what is left after memory was short.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <deque>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "diffusion/parameters.h"
#include "serve/gateway/canary.h"
#include "serve/gateway/curve_store.h"
#include "serve/gateway/gateway.h"
#include "serve/gateway/image_encoder.h"
#include "serve/gateway/model_list.h"
#include "serve/gateway/order_store.h"
#include "serve/gateway/tally.h"
#include "serve/gateway/worker_slot.h"

namespace inkstone::serve {

using VariantPtr = std::shared_ptr<const Variant>;

constexpr int kAllCalls = std::numeric_limits<int>::max();

struct ServedLeg {
  RequestPtr request;
  VariantPtr variant{};
  int rows = 0, calls = 0;  // as its worker says
};

struct ServedJob {  // an image that has not ended
  BatchJob batch;   // as it begins
  std::vector<ServedLeg> legs;
  size_t leg = 0;               // that has begun last
  OrderEntry* order = nullptr;  // null: the canary's
  size_t image = 0;             // of the order
  // Null: it waits in the broker, or for its encoding.
  WorkerSlot* slot = nullptr;
  AdapterTexts adapters{};  // as its worker says
  int lease = 0;            // the broker's number of this attempt
  bool encoding = false;    // its file is being made
  // Of workers that ran nothing else just then.
  int deaths_alone = 0;
  bool cut = false;
  int most_calls = kAllCalls;  // of one that was cut short
  double end = 0;              // as predicted when a worker took it
  double previewed = -1e9;
  // How it ends, where a cause is known before its end.
  Failure failure{};
};

// Its legs as the batcher has them, from the first one on.
void place_at_start(ServedJob& job);
int calls_before(const ServedJob& job, size_t leg);
int calls_of(const ServedJob& job);  // of all its legs

// methods: 65 allowed: the fleet of machines replaces it by a dispatcher without threads
struct Gateway::Impl final : WorkerEvents {
  Impl(boost::asio::io_context& events, ServeSettings settings, WorkerProgram program);
  ~Impl() override;

  SubmitResult submit(Order order);
  SubmitResult place(Order order);
  void watch(OrderEntry& entry, OrderWatcher& watcher);
  void unwatch(OrderEntry& entry, OrderWatcher& watcher);
  bool cancel(OrderEntry& entry, const Failure& failure);
  bool cut_short(OrderEntry& entry);
  ServiceFigures figures();
  void stop();

  double now() const override {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  }

  // gateway_admission.cpp: which orders are admitted
  Rejection refusal(const Order& order);
  Rejection refusal_of_pictures(const Order& order, size_t bytes);
  SubmitResult refuse(Rejection rejection);
  std::vector<ServedJob> jobs_of(const Order& order);
  ServedJob served_job(std::vector<ServedLeg> legs);
  std::vector<ServedLeg> legs_of(const Order& order, size_t image, const VariantPtr& variant,
                                 const VariantPtr& refiner);
  Rejection admit(std::vector<ServedJob>& jobs);
  double seconds_to_room() const;
  bool any_accepts() const;
  WorkerSlot* best_slot(BatchJob& job, Admission* admission);

  // gateway_jobs.cpp: the life of a job
  JobLeg leg_of(JobId job, int leg) const override {
    const ServedLeg& its = jobs.at(job).legs.at(static_cast<size_t>(leg));
    return {*its.request, *its.variant};
  }
  std::string greet(const Hello& hello) override;
  std::vector<ShapeTimes> times_of(const std::string& variant, const Hello& hello) const override;
  void switched(const std::string& variant, double seconds) override;
  bool wants_preview(JobId job) override;
  bool room_for_image() const override;
  void joined() override;
  void begun(JobId job) override;
  int started(JobId job, int leg, const Started& report) override;
  void step_done(const std::vector<JobId>& stepped, double seconds) override;
  void step_made(JobId job, double seconds) override;
  void previewed(Preview preview) override;
  void decode_begun(JobId job) override;
  void finished(Finished report) override;
  void failed(const JobFault& fault) override;
  void lost(const std::vector<Lost>& gone, bool death) override;
  void encoded(EncodedImage image);
  void enqueue(ServedJob job);
  void end_job(JobId job, End end, const Failure& failure = {});
  void settle();  // what the broker says has ended
  void settle(ServedJob& job, End end);
  ImageState* image_of(ServedJob& job);
  void tell(const ServedJob& job);

  // gateway_repair.cpp: an exception on the event thread ends an order or a worker at most
  void shaken() noexcept override { is_shaken = true; }
  void enter(const std::function<void()>& body) noexcept;
  // For calls from outside, who end what is theirs.
  template <typename Body>
  auto guarded(const Body& body) {
    try {
      return body();
    } catch (...) {
      shaken();
      throw;
    }
  }
  void repair();
  void end_strays();
  void end_orders_without_jobs();

  // gateway_pump.cpp: what time brings
  void answered() override { pump(); }
  // Assigns waiting jobs, sends commands, tells watchers.
  void pump();
  void pump_later();
  void assign_queued();
  // An idle worker takes jobs that others have not begun.
  void rebalance();
  void tell_watchers();
  void tick();
  void next_tick(std::chrono::milliseconds wait) noexcept;
  void pass_tick();
  void pass_deadlines(double time);
  void keep_curves();
  void foresee(double time);
  void replace_next(double time);
  void keep_canary(double time);

  boost::asio::io_context& events;
  const ServeSettings settings;
  const std::chrono::steady_clock::time_point began = std::chrono::steady_clock::now();
  MemoryBroker broker;
  OrderStore store;
  CurveStore curves{settings.curve_folder};
  Tally tally;
  Canary canary{settings};
  ModelList models;
  VariantPtr latest;  // that an image was asked for of; the canary takes it
  std::map<JobId, ServedJob> jobs;
  JobId next_job = 1;
  std::unique_ptr<ImageEncoder> encoder;
  std::vector<std::unique_ptr<WorkerSlot>> slots;
  // Orders and images that watchers are to be told of.
  std::deque<std::pair<std::string, size_t>> news;
  bool telling = false, pump_scheduled = false, stopped = false, draining = false;
  bool takes_new_model = false, was_ready = false;
  // What is known of jobs may not fit together.
  bool is_shaken = false;
  std::function<void()> on_ready, on_drained;
  double drain_until = 0, last_tick = 0, foreseen = 0, swept = 0, curves_kept = 0;
  std::deque<WorkerSlot*> to_replace;
  WorkerSlot* replaced = nullptr;
  boost::asio::steady_timer timer;
  // What waits in the event loop asks for it.
  std::shared_ptr<bool> alive = std::make_shared<bool>(true);
};

}  // namespace inkstone::serve
