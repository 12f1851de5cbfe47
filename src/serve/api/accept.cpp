#include "serve/api/accept.h"

#include <charconv>
#include <string>

#include "base/spelling.h"

namespace inkstone::serve {
namespace {

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

std::string_view take_part(std::string_view& text, char separator) {
  const size_t end = text.find(separator);
  const std::string_view part = text.substr(0, end);
  text = end == text.npos ? std::string_view() : text.substr(end + 1);
  return trimmed(part);
}

double quality_of(std::string_view parameters) {
  while (!parameters.empty()) {
    const std::string_view part = take_part(parameters, ';');
    if (!part.starts_with("q=") && !part.starts_with("Q=")) continue;
    double quality = 0;
    const std::string_view number = part.substr(2);
    const auto [end, fault] = std::from_chars(number.data(), number.data() + number.size(), quality);
    return fault == std::errc() && quality >= 0 && quality <= 1 ? quality : 0;
  }
  return 1;
}

bool takes(std::string_view range, std::string_view offer) {
  if (range == "*/*" || range == offer) return true;
  return range.ends_with("/*") && offer.starts_with(range.substr(0, range.size() - 1));
}

}  // namespace

std::optional<std::string_view> accepted(std::string_view header, std::span<const std::string_view> offers) {
  if (trimmed(header).empty()) return offers.front();
  std::optional<std::string_view> best;
  double best_quality = 0;
  while (!header.empty()) {
    std::string_view part = take_part(header, ',');
    const std::string range = lower(take_part(part, ';'));
    const double quality = quality_of(part);
    if (quality <= best_quality) continue;
    for (const std::string_view offer : offers) {
      if (!takes(range, offer)) continue;
      best = offer;
      best_quality = quality;
      break;
    }
  }
  return best;
}

bool prefers_async(std::string_view prefer_header) {
  while (!prefer_header.empty()) {
    std::string_view part = take_part(prefer_header, ',');
    if (lower(take_part(part, ';')) == "respond-async") return true;
  }
  return false;
}

}  // namespace inkstone::serve
