#include "app/serve_report.h"

#include <fmt/format.h>

#include "app/byte_size.h"
#include "app/report.h"

namespace inkstone {
namespace {

std::string in_seconds(double seconds) {
  return fmt::format("{:.{}f} s", seconds, seconds >= 100 ? 0 : seconds >= 1 ? 1 : seconds >= 0.1 ? 2 : 4);
}

std::string curve_line(const serve::VariantTimes& curve) {
  const serve::ShapeTimes& times = curve.times;
  std::string text = fmt::format("  {}x{}{}: encode {}, step", times.width, times.height,
                                 times.estimated ? ", as estimated" : "", in_seconds(times.encode_seconds));
  for (const serve::BatchTime& time : times.steps)
    text += fmt::format("{} {} row{} {}", &time == &times.steps.front() ? "" : ",", time.batch_rows,
                        time.batch_rows == 1 ? "" : "s", in_seconds(time.seconds));
  return text + fmt::format(", decode {}\n", in_seconds(times.decode_seconds));
}

std::string worker_text(const serve::WorkerFigures& worker) {
  if (worker.curves.empty()) return fmt::format("worker     {}: {}\n", worker.device, worker.state);
  std::string text = fmt::format("worker     {}: {}, {}\n", worker.device, worker.description, worker.precision);
  for (const std::string& line : worker.memory) text += "  " + line + "\n";
  for (const serve::VariantTimes& curve : worker.curves) text += curve_line(curve);
  return text;
}

const char* batching_text(serve::Batching batching) {
  switch (batching) {
    case serve::Batching::kOff: return "one image at a time";
    case serve::Batching::kStatic: return "batches that are filled when they start";
    case serve::Batching::kStep: return "images join and leave at every step";
  }
  return "";
}

}  // namespace

std::string address_text(const http::Settings& http, uint16_t port) {
  const bool six = http.host.find(':') != std::string::npos;
  return fmt::format("http://{}{}{}:{}", six ? "[" : "", http.host, six ? "]" : "", port);
}

std::string serve_report(const serve::ServiceFigures& figures, const std::vector<serve::ServedModel>& models,
                         const serve::ServeSettings& settings) {
  const serve::ModelCard& card = models.at(0).card.value();
  std::string text = fmt::format("model      {}, {} parameters, {}x{}, {} steps of {}, guidance {}\n", card.name,
                                 millions(card.parameters), card.traits.width, card.traits.height, card.traits.steps,
                                 name_of(scheduler_config(card.traits).kind), card.traits.guidance_scale);
  if (models.size() > 1)
    text +=
        fmt::format("models     {} more in {}, read one by one\n", models.size() - 1, settings.folders.models.string());
  for (const serve::WorkerFigures& worker : figures.workers) text += worker_text(worker);
  text += fmt::format("batching   {}\n", batching_text(settings.batching));
  text += fmt::format("queue      {} images, {} of one client, {:g} s of waiting at most\n", settings.max_queue,
                      settings.max_per_client, settings.max_wait);
  text += fmt::format("images     up to {} pixels, {} steps, {} in one order; kept {:g} s, {} of them\n",
                      settings.max_pixels, settings.max_steps, settings.max_images, settings.kept_seconds,
                      byte_text(static_cast<size_t>(settings.max_kept_bytes)));
  return text;
}

}  // namespace inkstone
