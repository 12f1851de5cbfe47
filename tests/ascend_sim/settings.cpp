#include "settings.h"

#include <cstdio>
#include <cstdlib>
#include <sstream>
#include <stdexcept>

#include "chips.h"

namespace ascend_sim {
namespace {

std::vector<std::string> parts_of(const std::string& text, char at) {
  std::vector<std::string> parts;
  std::stringstream in(text);
  for (std::string part; std::getline(in, part, at);)
    if (!part.empty()) parts.push_back(part);
  return parts;
}

int64_t number_of(const std::string& text) {
  size_t read = 0;
  const int64_t value = std::stoll(text, &read);
  if (read != text.size()) throw std::invalid_argument(text);
  return value;
}

void take_faults(Settings& settings, Fault::Kind kind, const std::string& list) {
  for (const std::string& one : parts_of(list, ',')) {
    const auto fields = parts_of(one, ':');
    if (fields.size() != (kind == Fault::Kind::kHang ? 2u : 3u)) throw std::invalid_argument(one);
    Fault fault{kind, fields[0], 0, 0, 0};
    if (fields[1] != "*") fault.nth = static_cast<uint64_t>(number_of(fields[1]));
    if (fields.size() == 3) fault.value = static_cast<int>(number_of(fields[2]));
    settings.faults.push_back(fault);
  }
}

}  // namespace

Settings Settings::from_environment() {
  Settings settings;
  const char* text = std::getenv("INKSTONE_ASCEND_SIM");
  if (!text) return settings;
  try {
    settings.take(text);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "INKSTONE_ASCEND_SIM: \"%s\" is not understood\n", error.what());
    std::exit(1);
  }
  return settings;
}

void Settings::take(const std::string& text) {
  for (const std::string& part : parts_of(text, ';')) {
    const size_t equal = part.find('=');
    const std::string key = part.substr(0, equal), value = equal == std::string::npos ? "" : part.substr(equal + 1);
    if (key == "soc") {
      if (!find_chip(value)) throw std::invalid_argument(part);
      soc = value;
    } else if (key == "devices") {
      devices = static_cast<int>(number_of(value));
    } else if (key == "memory") {
      memory_bytes = static_cast<uint64_t>(number_of(value));
    } else if (key == "cann") {
      cann = value;
    } else if (key == "fault") {
      take_faults(*this, Fault::Kind::kFail, value);
    } else if (key == "slow") {
      take_faults(*this, Fault::Kind::kSlow, value);
    } else if (key == "hang") {
      take_faults(*this, Fault::Kind::kHang, value);
    } else if (key == "lost") {
      lost_after = number_of(value);
    } else if (key == "report") {
      report = value;
    } else if (key == "clear") {
      faults.clear();
      lost_after = -1;
    } else {
      throw std::invalid_argument(part);
    }
  }
}

Outcome outcome_of(Settings& settings, const std::string& call) {
  Outcome outcome;
  for (Fault& fault : settings.faults) {
    if (fault.call != call || (++fault.seen != fault.nth && fault.nth != 0)) continue;
    if (fault.kind == Fault::Kind::kFail) outcome.code = fault.value;
    if (fault.kind == Fault::Kind::kSlow) outcome.delay_ms = fault.value;
    if (fault.kind == Fault::Kind::kHang) outcome.hangs = true;
  }
  return outcome;
}

}  // namespace ascend_sim
