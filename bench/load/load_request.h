// One request of a load: what is drawn, and by when its sender wants it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "load/dice.h"

namespace inkstone {

struct LoadRequest {
  std::string prompt = "a fox on a teal background", negative_prompt;
  uint64_t seed = 42;
  int width = 0, height = 0, steps = 0;  // 0: the server's own
  std::optional<double> guidance;
  std::string scheduler;  // empty: the server's own
  int images = 1;
  std::optional<double> slo;  // seconds; not part of key()
  // Of a trace: seconds from its start.
  std::optional<double> at;
  // "low", "normal", "high"; empty: not said; not part of key().
  std::string priority;

  // What the images depend on, as one line: requests with the same key must give the same pixels.
  std::string key() const;
};

// Fields by diffusers' names, and slo_ms and time (seconds), as vLLM-Omni's traces have them.
// Unknown ones are an error.
LoadRequest load_request_of(const JsonObject& object);
// A file of JSON lines; empty lines and lines that begin with # are left out.
std::vector<LoadRequest> read_requests(const std::string& path);

// A number, a list and ranges: "20", "4,8,12", "4-20", "1,3.5-7.5".
class Choice {
 public:
  explicit Choice(std::string_view text, std::string_view flag);
  double draw(Dice& dice) const;
  double draw_whole(Dice& dice) const;

 private:
  struct Range {
    double min, max;
  };
  std::vector<Range> ranges_;
};

struct Mix {  // by flags
  std::vector<std::string> prompts{};
  std::string negative_prompt{}, sizes{}, steps{}, guidance{}, schedulers{};  // empty: the server's own
  int images = 1;
  // So many different requests are drawn, each with its own seed.
  int distinct = 16;
  uint64_t seed = 1;
};
std::vector<LoadRequest> draw_requests(const Mix& mix);

}  // namespace inkstone
