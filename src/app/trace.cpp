#include "app/trace.h"

#include <algorithm>
#include <chrono>
#include <tuple>
#include <utility>

#include "app/bench_report.h"
#include "base/json.h"

namespace inkstone {
namespace {

constexpr int kProcess = 1, kStages = 1, kCalls = 2;

JsonObject name_of_track(const char* kind, int track, const char* name) {
  return {{"ph", "M"}, {"name", kind}, {"pid", kProcess}, {"tid", track}, {"args", JsonObject{{"name", name}}}};
}

}  // namespace

double steady_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

struct Trace::Event {
  int track;
  double begin;
  JsonObject object;
};

Trace::Trace(double origin) : origin_(origin) {}
Trace::~Trace() = default;

void Trace::add(int track, const std::string& name, double begin, double seconds, JsonObject facts) {
  events_.push_back({track,
                     begin,
                     {{"ph", "X"},
                      {"name", name},
                      {"pid", kProcess},
                      {"tid", track},
                      {"ts", (begin - origin_) * 1e6},
                      {"dur", seconds * 1e6},
                      {"args", std::move(facts)}}});
}

void Trace::stage(const std::string& name, double begin, double seconds, const MemoryPeaks* peaks) {
  add(kStages, name, begin, seconds, peaks ? peaks_json(*peaks) : JsonObject());
}

void Trace::calls(std::span<const CallProfile> calls) {
  for (const CallProfile& call : calls)
    add(kCalls, call.op, call.begin, call.seconds,
        {{"shapes", call.detail}, {"flops", call.flops}, {"bytes", call.bytes}});
}

std::string Trace::text() const {
  std::vector<const Event*> ordered;
  for (const Event& event : events_) ordered.push_back(&event);
  std::stable_sort(ordered.begin(), ordered.end(), [](const Event* a, const Event* b) {
    return std::tie(a->track, a->begin) < std::tie(b->track, b->begin);
  });
  JsonArray events{name_of_track("process_name", 0, "inkstone bench"), name_of_track("thread_name", kStages, "stages"),
                   name_of_track("thread_name", kCalls, "calls")};
  for (const Event* event : ordered) events.push_back(event->object);
  return json_text(JsonObject{{"displayTimeUnit", "ms"}, {"traceEvents", std::move(events)}}) + "\n";
}

}  // namespace inkstone
