#include "serve/api/metrics.h"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <cmath>
#include <limits>
#include <map>
#include <span>
#include <sstream>

#include "base/version.h"
#include "serve/support/process_figures.h"

namespace inkstone::serve {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using Labels = std::vector<ClientMetric::Label>;

class Families {
 public:
  void gauge(const char* name, const char* help, double value, const Labels& labels = {}) {
    ClientMetric metric;
    metric.label = labels;
    metric.gauge.value = value;
    family(name, help, MetricType::Gauge).metric.push_back(std::move(metric));
  }
  void counter(const char* name, const char* help, double value, const Labels& labels = {}) {
    ClientMetric metric;
    metric.label = labels;
    metric.counter.value = value;
    family(name, help, MetricType::Counter).metric.push_back(std::move(metric));
  }
  // Codes that have not occurred count as 0, so that an alert sees the first one as a rise.
  void counts_by_code(const char* name, const char* help, std::span<const char* const> codes,
                      const std::vector<std::pair<std::string, int64_t>>& counts) {
    std::map<std::string, int64_t> all;
    for (const char* code : codes) all[code] = 0;
    for (const auto& [code, count] : counts) all[code] = count;
    for (const auto& [code, count] : all) counter(name, help, double(count), {{"code", code}});
  }
  void histogram(const char* name, const char* help, const Histogram& histogram) {
    ClientMetric metric;
    int64_t count = 0;
    for (size_t i = 0; i < histogram.counts.size(); ++i) {
      count = histogram.counts[i];
      const double bound = i < histogram.bounds.size() ? histogram.bounds[i] : std::numeric_limits<double>::infinity();
      metric.histogram.bucket.push_back({static_cast<uint64_t>(count), bound});
    }
    metric.histogram.sample_count = static_cast<uint64_t>(count);
    metric.histogram.sample_sum = histogram.sum;
    family(name, help, MetricType::Histogram).metric.push_back(std::move(metric));
  }
  std::string text() const { return prometheus::TextSerializer().Serialize(families_); }

 private:
  MetricFamily& family(const char* name, const char* help, MetricType type) {
    for (MetricFamily& known : families_)
      if (known.name == name) return known;
    families_.push_back({name, help, type, {}});
    return families_.back();
  }
  std::vector<MetricFamily> families_;
};

void add_service(Families& to, const ServiceFigures& service) {
  to.gauge("inkstone_info", "The program's version.", 1, {{"version", kVersion}});
  to.gauge("inkstone_ready", "1 while requests are admitted.", service.ready && !service.draining);
  to.gauge("inkstone_draining", "1 while the server stops.", service.draining);
  to.gauge("inkstone_uptime_seconds", "Since the server began.", service.uptime);
  to.gauge("inkstone_canary_age_seconds", "Since work last passed through the scheduler and back.", service.canary_age);
  to.gauge("inkstone_canary_limit_seconds", "Older than that, and the server counts as dead.", service.canary_limit);
  to.gauge("inkstone_orders", "Orders that have not ended.", service.orders);
  to.gauge("inkstone_images_queued", "Images that wait for a worker.", service.queued);
  to.gauge("inkstone_images_running", "Images that a worker has.", service.running);
  to.gauge("inkstone_watchers", "Exchanges that wait for orders.", service.watchers);
  to.gauge("inkstone_kept_bytes", "Of images that wait to be fetched.", double(service.kept_bytes));
  constexpr const char* kEnded = "inkstone_images_total";
  constexpr const char* kEndedHelp = "Images that have ended.";
  to.counter(kEnded, kEndedHelp, double(service.done), {{"end", "done"}});
  to.counter(kEnded, kEndedHelp, double(service.failed), {{"end", "failed"}});
  to.counter(kEnded, kEndedHelp, double(service.cancelled), {{"end", "cancelled"}});
  to.counter("inkstone_retries_total", "Jobs that ran again because their worker died.", double(service.retries));
  to.counter("inkstone_worker_deaths_total", "Workers that died or hung.", double(service.worker_deaths));
  to.counts_by_code("inkstone_rejected_total", "Orders that were not admitted.", kRejectionCodes, service.rejected);
  to.counts_by_code("inkstone_failures_total", "Images that failed.", kFailureCodes, service.failures);
  to.histogram("inkstone_wait_seconds", "From arrival to the first work.", service.wait_seconds);
  to.histogram("inkstone_step_seconds", "Of a denoising step.", service.step_seconds);
  to.histogram("inkstone_rows_per_step", "Rows of a step.", service.rows_per_step);
  to.histogram("inkstone_encode_seconds", "Of a text encoding.", service.encode_seconds);
  to.histogram("inkstone_decode_seconds", "Of a decoding.", service.decode_seconds);
  to.histogram("inkstone_switch_seconds", "Of bringing a model, or one with adapters, into memory.",
               service.switch_seconds);
  to.histogram("inkstone_total_seconds", "From arrival to the image.", service.total_seconds);
  to.gauge("inkstone_broker_queued", "Jobs of the queue that nobody has.", service.broker.queued);
  to.gauge("inkstone_broker_leased", "Jobs of the queue that a worker has.", service.broker.leased);
  to.counter("inkstone_broker_deliveries_total", "Leases given.", double(service.broker.deliveries));
  to.counter("inkstone_broker_poison_total", "Jobs given up because workers died of them.",
             double(service.broker.poison));
}

void add_device(Families& to, const DeviceFigures& device, const Labels& labels) {
  to.gauge("inkstone_device_memory_bytes", "Of the device.", double(device.memory_total), labels);
  to.gauge("inkstone_device_memory_free_bytes", "Of the device.", double(device.memory_free), labels);
  to.gauge("inkstone_device_memory_used_bytes", "By the worker.", double(device.memory_used), labels);
  to.gauge("inkstone_device_memory_fragmentation", "1 - largest free block / free.", device.fragmentation, labels);
  to.gauge("inkstone_device_healthy", "1 where the device says ok.", device.health.empty() || device.health == "ok",
           labels);
}

void add_worker(Families& to, const WorkerFigures& worker, size_t number) {
  const Labels labels{{"worker", std::to_string(number)}, {"device", worker.device}};
  const BatcherFigures& batcher = worker.batcher;
  to.gauge("inkstone_worker_up", "1 while the worker is ready or busy.",
           worker.state == "ready" || worker.state == "busy", labels);
  to.counter("inkstone_worker_restarts_total", "Times it was replaced.", worker.restarts, labels);
  to.gauge("inkstone_worker_resident_bytes", "Of its process.", double(resident_bytes_of(worker.pid)), labels);
  to.gauge("inkstone_worker_silent_seconds", "Since it last answered what it was asked.", worker.silent_seconds,
           labels);
  to.gauge("inkstone_worker_jobs", "Jobs that it has.", batcher.jobs, labels);
  to.gauge("inkstone_worker_rows", "Rows of those jobs.", batcher.rows, labels);
  to.gauge("inkstone_worker_batch_rows", "Rows of the step that runs.", batcher.batch_rows, labels);
  to.gauge("inkstone_worker_between_steps", "Jobs between two of their steps.", batcher.between_steps, labels);
  to.gauge("inkstone_worker_backlog_seconds", "Of all that is left, one job at a time.", batcher.backlog_seconds,
           labels);
  to.counter("inkstone_worker_steps_total", "Steps made.", double(batcher.steps), labels);
  to.counter("inkstone_worker_rows_stepped_total", "Rows of those steps.", double(batcher.rows_stepped), labels);
  for (const auto& [phase, count] :
       {std::pair("encode", batcher.wait_for_encode), std::pair("denoise", batcher.wait_for_denoise),
        std::pair("decode", batcher.wait_for_decode)}) {
    Labels with_phase = labels;
    with_phase.push_back({"phase", phase});
    to.gauge("inkstone_worker_waiting", "Jobs by what they wait for.", count, with_phase);
  }
  for (const auto& [variant, shape] : worker.curves) {
    for (const BatchTime& step : shape.steps) {
      Labels with_shape = labels;
      with_shape.push_back({"model", shown_variant(variant)});
      with_shape.push_back({"size", std::to_string(shape.width) + "x" + std::to_string(shape.height)});
      with_shape.push_back({"batch_rows", std::to_string(step.batch_rows)});
      to.gauge("inkstone_step_curve_seconds", "A step's time by its rows, as known now.", step.seconds, with_shape);
    }
  }
  add_device(to, worker.device_figures, labels);
}

void add_http(Families& to, const http::Figures& http) {
  to.gauge("inkstone_http_connections", "Open now.", http.connections);
  to.gauge("inkstone_http_exchanges", "Requests that are not answered yet.", http.exchanges);
  to.counter("inkstone_http_accepted_total", "Connections accepted.", double(http.accepted));
  to.counter("inkstone_http_turned_away_total", "Connections over the limits.", double(http.turned_away));
  to.counter("inkstone_http_timed_out_total", "Connections that were too slow.", double(http.timed_out));
  to.counter("inkstone_http_malformed_total", "Requests that were none.", double(http.malformed));
  to.counter("inkstone_http_requests_total", "Requests.", double(http.requests));
  std::map<int, int64_t> answers;
  for (const int usual : {200, 202, 400, 401, 403, 404, 408, 429, 500, 503, 504}) answers[usual] = 0;
  for (const auto& [status, count] : http.answers) answers[status] = count;
  for (const auto& [status, count] : answers)
    to.counter("inkstone_http_answers_total", "Answers by status.", double(count),
               {{"status", std::to_string(status)}});
}

void add_process(Families& to, const ProcessFigures& process) {
  to.counter("process_cpu_seconds_total", "Of the gateway, user and system.", process.cpu_seconds);
  to.gauge("process_resident_memory_bytes", "Of the gateway.", double(process.resident_bytes));
  to.gauge("process_virtual_memory_bytes", "Of the gateway.", double(process.virtual_bytes));
  to.gauge("process_open_fds", "Descriptors of the gateway.", double(process.open_fds));
  to.gauge("process_max_fds", "The most that it may have.", double(process.max_fds));
  to.gauge("process_start_time_seconds", "Of the gateway, since 1970.", process.start_time);
}

void add_card(Families& to, const DeviceReading& card) {
  const Labels labels{{"device", card.device}, {"chip", card.chip}};
  const auto gauge = [&](const char* name, const char* help, const std::optional<double>& value) {
    if (value) to.gauge(name, help, *value, labels);
  };
  gauge("inkstone_device_ai_core_ratio", "Of the matrix units' time that they work, as the driver says.",
        card.ai_core_ratio);
  gauge("inkstone_device_power_watts", "As the driver says.", card.power_watts);
  gauge("inkstone_device_temperature_celsius", "As the driver says.", card.temperature_celsius);
  gauge("inkstone_device_driver_memory_bytes", "Of the card, as the driver says.", card.memory_total);
  gauge("inkstone_device_driver_memory_free_bytes", "Of the card, as the driver says.", card.memory_free);
  if (card.healthy)
    to.gauge("inkstone_device_driver_healthy", "1 where the driver says that the card is.", *card.healthy, labels);
}

}  // namespace

std::string metrics_text(const ServiceFigures& service, const http::Figures& http,
                         const std::vector<ServedModel>& models, const std::vector<DeviceReading>& cards) {
  Families families;
  add_service(families, service);
  for (const ServedModel& model : models)
    if (model.card)
      families.gauge("inkstone_model_info", "A model that can be asked for.", 1,
                     {{"model", model.name}, {"hash", model.card->hash}});
  for (const DeviceReading& each : cards) add_card(families, each);
  for (size_t i = 0; i < service.workers.size(); ++i) add_worker(families, service.workers[i], i);
  add_http(families, http);
  add_process(families, own_process());
  return families.text();
}

}  // namespace inkstone::serve
