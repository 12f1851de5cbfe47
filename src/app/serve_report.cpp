#include "app/serve_report.h"

#include <fmt/format.h>

#include "app/byte_size.h"
#include "app/report.h"

namespace inkstone {
namespace {

std::string curve_line(const ShapeTimes& times) {
  std::string text = fmt::format("  {}x{}: text {:.1f} ms, step", times.width, times.height, 1000 * times.text_seconds);
  for (const RowTime& time : times.steps)
    text += fmt::format("{} {} row{} {:.1f} ms", &time == &times.steps.front() ? "" : ",", time.rows,
                        time.rows == 1 ? "" : "s", 1000 * time.seconds);
  return text + fmt::format(", picture {:.1f} ms\n", 1000 * times.vae_seconds);
}

std::string worker_text(const WorkerFigures& worker) {
  if (worker.curves.empty()) return fmt::format("worker     {}: {}\n", worker.device, worker.state);
  std::string text = fmt::format("worker     {}: {}, {}\n", worker.device, worker.description, worker.precision);
  for (const std::string& line : worker.memory) text += "  " + line + "\n";
  for (const ShapeTimes& times : worker.curves) text += curve_line(times);
  for (const LaneFigures& lane : worker.batcher.lanes)
    text += fmt::format("  at most {} rows in a step of {}x{}, 2 for each picture with guidance\n", lane.most_rows,
                        lane.lane.width, lane.lane.height);
  return text;
}

const char* batching_text(Batching batching) {
  switch (batching) {
    case Batching::kOff: return "one picture at a time";
    case Batching::kStatic: return "batches that are filled when they start";
    case Batching::kStep: return "pictures join and leave at every step";
  }
  return "";
}

}  // namespace

std::string address_text(const HttpSettings& http, uint16_t port) {
  const bool six = http.host.find(':') != std::string::npos;
  return fmt::format("http://{}{}{}:{}", six ? "[" : "", http.host, six ? "]" : "", port);
}

std::string serve_report(const ServiceFigures& figures, const ModelCard& card, const ServeSettings& settings) {
  std::string text =
      fmt::format("model      {}, {} parameters, {}x{}, {} steps of {}, guidance {}\n", card.name,
                  millions(card.parameters), card.width, card.height, card.steps, card.scheduler, card.guidance);
  for (const WorkerFigures& worker : figures.workers) text += worker_text(worker);
  text += fmt::format("batching   {}\n", batching_text(settings.batching));
  text += fmt::format("queue      {} pictures, {} of one client, {:g} s of waiting at most\n", settings.most_queue,
                      settings.most_per_client, settings.most_wait);
  text += fmt::format("pictures   up to {} pixels, {} steps, {} in one order; kept {:g} s, {} of them\n",
                      settings.most_pixels, settings.most_steps, settings.most_pictures, settings.kept_seconds,
                      byte_text(static_cast<size_t>(settings.most_kept_bytes)));
  return text;
}

}  // namespace inkstone
