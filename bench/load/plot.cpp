#include "load/plot.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace inkstone {
namespace {

constexpr double kLeft = 70, kWidth = 860, kHeight = 180, kTop = 70, kBetween = 90;

struct Curve {
  std::string name, color;
  std::vector<std::pair<double, double>> points;
};

template <typename... Values>
std::string print(const char* format, Values... values) {
  char text[512];
  std::snprintf(text, sizeof text, format, values...);
  return text;
}

std::string escaped(const std::string& text) {
  std::string safe;
  for (const char c : text) safe += c == '<' ? "&lt;" : c == '>' ? "&gt;" : c == '&' ? "&amp;" : std::string(1, c);
  return safe;
}

// To 1, 2 or 5 times a power of ten.
double round_up(double value) {
  if (value <= 0) return 1;
  const double power = std::pow(10, std::floor(std::log10(value)));
  for (const double step : {1.0, 2.0, 5.0})
    if (value <= step * power * (1 + 1e-9)) return step * power;
  return 10 * power;
}

std::string panel(int index, const std::string& title, const std::string& below, const std::vector<Curve>& curves) {
  double max_x = 0, max_y = 0;
  for (const Curve& curve : curves)
    for (const auto& [x, y] : curve.points) max_x = std::max(max_x, x), max_y = std::max(max_y, y);
  max_x = max_x > 0 ? max_x : 1;
  max_y = round_up(max_y);
  const double top = kTop + index * (kHeight + kBetween), floor = top + kHeight;
  std::string svg = print("<text x='%g' y='%g' class='title'>", kLeft, top - 14) + escaped(title) + "</text>\n";
  for (int i = 0; i <= 4; ++i) {
    const double y = floor - kHeight * i / 4, x = kLeft + kWidth * i / 4;
    svg += print("<line x1='%g' y1='%g' x2='%g' y2='%g' class='grid'/>", kLeft, y, kLeft + kWidth, y);
    svg += print("<text x='%g' y='%g' class='number' text-anchor='end'>%g</text>", kLeft - 8, y + 4, max_y * i / 4);
    svg += print("<text x='%g' y='%g' class='number' text-anchor='middle'>%.3g</text>\n", x, floor + 18, max_x * i / 4);
  }
  svg += print("<text x='%g' y='%g' class='number' text-anchor='middle'>", kLeft + kWidth / 2, floor + 36) +
         escaped(below) + "</text>\n";
  double legend = kLeft + kWidth;
  for (const Curve& curve : curves) {
    svg += "<polyline fill='none' stroke-width='1.8' stroke-linejoin='round' stroke='" + curve.color + "' points='";
    for (const auto& [x, y] : curve.points)
      svg += print("%.2f,%.2f ", kLeft + kWidth * x / max_x, floor - kHeight * y / max_y);
    svg += "'/>\n";
    svg += print("<text x='%g' y='%g' class='number' text-anchor='end' style='fill:", legend, top - 14) + curve.color +
           "'>" + escaped(curve.name) + "</text>\n";
    legend -= 12 + 7.2 * static_cast<double>(curve.name.size());
  }
  return svg;
}

Curve parts_of(std::string name, std::string color, std::vector<double> seconds) {
  std::sort(seconds.begin(), seconds.end());
  Curve curve{std::move(name), std::move(color), {{0, 0}}};
  for (size_t i = 0; i < seconds.size(); ++i) {
    curve.points.emplace_back(seconds[i], 100.0 * static_cast<double>(i) / static_cast<double>(seconds.size()));
    curve.points.emplace_back(seconds[i], 100.0 * static_cast<double>(i + 1) / static_cast<double>(seconds.size()));
  }
  return curve;
}

}  // namespace

std::string plot_of(const std::vector<Record>& records, const std::string& title) {
  Curve arrivals{"arrivals", "#7a7f87", {}}, ok{"images", "#1f6feb", {}}, good{"within SLO", "#1a7f37", {}};
  Curve rejected{"refused", "#bf8700", {}}, failed{"failed", "#cf222e", {}}, open{"open", "#6639ba", {}};
  const std::vector<Second> seconds = seconds_of(records);
  for (size_t i = 0; i < seconds.size(); ++i) {
    const double x = static_cast<double>(i) + 0.5;
    const auto put = [x](Curve& curve, int64_t value) { curve.points.emplace_back(x, static_cast<double>(value)); };
    put(arrivals, seconds[i].arrivals);
    put(ok, seconds[i].ok);
    put(good, seconds[i].within_slo);
    put(rejected, seconds[i].rejected);
    put(failed, seconds[i].failed);
    put(open, seconds[i].open);
  }
  std::vector<double> totals, first_steps;
  for (const Record& r : records) {
    if (r.fate == Fate::kOk) totals.push_back(r.total);
    if (r.first_step) first_steps.push_back(*r.first_step);
  }
  std::string svg =
      "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 960 870' font-family='sans-serif'>\n"
      "<style>.title{font-size:15px;font-weight:600;fill:#24292f}.number{font-size:12px;fill:#57606a}"
      ".grid{stroke:#d8dee4;stroke-width:1}</style>\n<rect width='960' height='870' fill='#ffffff'/>\n";
  svg += print("<text x='%g' y='28' style='font-size:13px;fill:#57606a'>", kLeft) + escaped(title) + "</text>\n";
  svg += panel(0, "Requests a second", "seconds since the start", {failed, rejected, good, ok, arrivals});
  svg += panel(1, "Requests open", "seconds since the start", {open});
  svg += panel(2, "Per cent that waited no longer than", "seconds from the intended moment",
               {parts_of("to the image", "#1f6feb", std::move(totals)),
                parts_of("to the first step", "#1a7f37", std::move(first_steps))});
  return svg + "</svg>\n";
}

}  // namespace inkstone
