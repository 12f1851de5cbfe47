// What the APIs talk to: it takes orders and tells their state. All calls and callbacks happen on
// the gateway's event thread; nothing here blocks.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "serve/jobs/broker.h"
#include "serve/jobs/order.h"
#include "serve/jobs/served_model.h"
#include "serve/scheduling/batcher.h"
#include "serve/wire/model_card.h"
#include "serve/wire/wire.h"

namespace inkstone::serve {

class OrderWatcher {
 public:
  virtual ~OrderWatcher() = default;
  // A step, a stage, a preview or the end of one of its images, or its place in the queue. Never called from inside submit()
  // or watch(). The watcher may unwatch itself here. When the order has ended this is the last
  // call.
  virtual void changed(const OrderState& order, size_t image) = 0;
};

inline constexpr const char* kRejectionCodes[] = {"invalid", "queue_full", "too_long", "deadline",
                                                  "quota",   "not_ready",  "draining", "conflict"};

struct Rejection {
  std::string code;  // one of those
  // For the client, with the number and the way out.
  std::string message;
  // Of the request, where it is one's fault ("width").
  std::string field;
  // Seconds; 0: trying again does not help.
  double retry_after = 0;
};

struct SubmitResult {
  // Admitted, or known by its idempotency key; until the service forgets it, minutes after its end.
  const OrderState* order = nullptr;
  bool repeated = false;
  Rejection rejection;  // where order is null
};

struct VariantTimes {
  std::string variant;  // its key
  ShapeTimes times;
};

struct WorkerFigures {
  std::string device, description, precision;
  std::string state;  // "starting", "ready", "busy", "dead", "hung"
  int pid = 0, restarts = 0;
  bool cannot_start = false;  // it failed again and again
  // Since it last said something that was asked of it.
  double silent_seconds = 0;
  BatcherFigures batcher;
  std::vector<VariantTimes> curves;  // as known now
  std::vector<std::string> memory;
  DeviceFigures device_figures;
};

struct Histogram {  // cumulative counts, as Prometheus has them
  std::vector<double> bounds;
  std::vector<int64_t> counts;  // one more than bounds
  double sum = 0;
};

struct ServiceFigures {
  bool ready = false, draining = false;
  double uptime = 0;
  // Seconds since a canary last passed through the queue, the scheduler and back.
  double canary_age = 0;
  double canary_limit = 0;  // older than that: not alive
  // Retrying: of the images, those that began again after a worker's death.
  int orders = 0, queued = 0, running = 0, retrying = 0, watchers = 0;
  int64_t kept_bytes = 0;  // images that wait to be fetched
  int64_t done = 0, failed = 0, cancelled = 0, retries = 0, worker_deaths = 0;
  std::vector<std::pair<std::string, int64_t>> rejected, failures;  // by code
  Histogram wait_seconds, step_seconds, rows_per_step, encode_seconds, decode_seconds, switch_seconds, total_seconds;
  BrokerStats broker;
  std::vector<WorkerFigures> workers;
};

class ImageService {
 public:
  virtual ~ImageService() = default;
  virtual SubmitResult submit(Order order) = 0;
  // Null where it is not this client's.
  virtual const OrderState* find(std::string_view id, std::string_view client) = 0;
  // Not ended, and those that are kept.
  virtual std::vector<const OrderState*> orders_of(std::string_view client) = 0;
  virtual void watch(const OrderState& order, OrderWatcher& watcher) = 0;
  // An order that does not stay and that nobody watches is cancelled.
  virtual void unwatch(const OrderState& order, OrderWatcher& watcher) = 0;
  virtual bool cancel(const OrderState& order) = 0;  // false: it has ended
  // Its images as they are now, decoded; false: it has ended.
  virtual bool cut_short(const OrderState& order) = 0;
  // The default first; empty before the first worker is ready. Until the next call.
  virtual const std::vector<ServedModel>& models() const = 0;
  // Of the operator's folder; null where there is none.
  virtual const std::vector<AdapterName>* adapters() const = 0;
  // Looks for models and adapters again; told when that was done.
  virtual void rescan(std::function<void()> done) = 0;
  virtual ServiceFigures figures() const = 0;
  virtual double now() const = 0;  // seconds on the service's clock
};

}  // namespace inkstone::serve
