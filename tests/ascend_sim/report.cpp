// The report: what was called and copied, what lives, which rules were broken.
#include <fstream>
#include <sstream>

#include "thread_state.h"
#include "world.h"

namespace ascend_sim {
namespace {

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += static_cast<unsigned char>(c) < 32 ? ' ' : c;
  }
  return out + "\"";
}

template <class Map, class Write>
std::string object(const Map& map, Write write) {
  std::string out = "{";
  for (const auto& [key, value] : map) out += (out.size() > 1 ? ", " : "") + quoted(key) + ": " + write(value);
  return out + "}";
}

}  // namespace

std::string report_json() {
  World& w = world();
  std::lock_guard lock(w.mutex);
  const Report& r = w.report;
  const auto number = [](uint64_t n) { return std::to_string(n); };
  uint64_t violations = 0, contexts = 0;
  for (const auto& [what, n] : r.violations) violations += n;
  for (const auto& [key, context] : w.contexts) contexts += context->alive;
  std::ostringstream out;
  out << "{\n  \"simulated\": true,\n  \"soc\": " << quoted(w.settings.soc + kSuffix)
      << ",\n  \"calls\": " << object(r.calls, number) << ",\n  \"copies\": "
      << object(r.copies,
                [](const auto& c) {
                  return "{\"count\": " + std::to_string(c.first) + ", \"bytes\": " + std::to_string(c.second) + "}";
                })
      << ",\n  \"device_memory\": {\"allocations\": " << r.allocations << ", \"bytes\": " << r.allocated_bytes
      << ", \"peak_bytes\": " << r.peak_bytes << ", \"live_bytes\": " << r.live_bytes
      << "},\n  \"executions\": " << r.executions << ",\n  \"allocations_before_execution\": [";
  for (size_t i = 0; i < r.allocations_before.size(); ++i) out << (i ? ", " : "") << r.allocations_before[i];
  out << "],\n  \"alive\": {\"contexts\": " << contexts << ", \"streams\": " << w.streams.size()
      << ", \"events\": " << w.events.size() << ", \"models\": " << w.models.size()
      << ", \"device_allocations\": " << w.device_memory.size() << ", \"pinned_allocations\": " << w.pinned.size()
      << ", \"descriptions\": " << w.handles[kDesc].size() << ", \"datasets\": " << w.handles[kDataset].size()
      << ", \"data_buffers\": " << w.handles[kDataBuffer].size() << "},\n  \"violation_count\": " << violations
      << ",\n  \"violations\": " << object(r.violations, number) << "\n}\n";
  return out.str();
}

void write_report() {
  std::string path;
  {
    std::lock_guard lock(world().mutex);
    path = world().settings.report;
  }
  if (!path.empty()) std::ofstream(path) << report_json();
}

}  // namespace ascend_sim

using namespace ascend_sim;

const char* ascend_sim_report() {
  thread_local std::string text;
  text = report_json();
  return text.c_str();
}

void ascend_sim_set(const char* settings) {
  std::lock_guard lock(world().mutex);
  world().settings.take(settings);
  if (world().settings.lost_after < 0) world().lost = false;
}

void ascend_sim_reset() {
  drop_device(-1);
  World& w = world();
  std::lock_guard lock(w.mutex);
  w.settings = Settings::from_environment();
  w.initialized = w.lost = false;
  w.device_uses.clear();
  w.primaries.clear();
  w.events.clear();
  for (const auto& [at, size] : w.pinned) std::free(reinterpret_cast<void*>(at));
  w.pinned.clear();
  for (auto& handles : w.handles) {
    for (const auto& [handle, remove] : handles) remove(handle);
    handles.clear();
  }
  w.op_timeout_s = 1091;
  w.on_exception = nullptr;
  w.report = {};
  thread_state().message.clear();
  thread_state().last_error = 0;
}
