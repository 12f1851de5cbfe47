#include "app/bench_report.h"

#include <fmt/format.h>

#include <algorithm>

#include "app/byte_size.h"
#include "app/progress.h"
#include "app/report.h"
#include "base/json.h"
#include "base/parallel.h"
#include "base/version.h"

namespace inkstone {
namespace {

constexpr int kUsualSteps = 20;  // of which the end to end figure is told besides the steps that were run

JsonObject first_step_json(const FirstStep& first) {
  JsonObject components;
  for (const auto& [name, seconds] : first.components) components[name] = seconds;
  return {{"total_seconds", first.total()},
          {"open_seconds", first.open},
          {"plan_seconds", first.plan},
          {"prepare_seconds", first.prepare},
          {"prepare_components", std::move(components)},
          {"text_encoder_seconds", first.text_encoder},
          {"step_seconds", first.step},
          {"memory", peaks_json(first.memory)}};
}

JsonObject end_to_end_json(const BenchResult& result, double peak) {
  JsonObject object = work_json(result.whole.seconds(), result.whole.work, peak);
  object["steps"] = result.request.steps;
  object["texts"] = result.texts;
  object["best_seconds"] = result.whole.best_seconds();
  object["runs"] = result.whole.runs.size();
  object["run_seconds"] = JsonArray(result.whole.runs.begin(), result.whole.runs.end());
  object["by_medians"] = nullptr;
  if (const auto seconds = result.seconds_of(kUsualSteps)) {
    JsonObject usual = work_json(*seconds, result.work_of(kUsualSteps), peak);
    usual["steps"] = kUsualSteps;
    object["by_medians"] = std::move(usual);
  }
  return object;
}

std::string rate_line(const char* name, double flops) {
  return flops > 0 ? fmt::format("{} {:.1f} GFLOP/s", name, flops / 1e9) : "";
}

std::string share(double flops, double seconds, double peak) {
  return peak > 0 ? fmt::format(", {:.1f} % of peak", 100 * per_second(flops, seconds) / peak) : "";
}

std::string end_to_end_lines(const BenchResult& result, double peak) {
  const Measurement& whole = result.whole;
  std::string text = fmt::format("end to end: {} and VAE with {}: {} median of {}, least {}; {:.1f} GFLOP{}\n",
                                 result.texts == 2 ? "two texts" : "text", steps_text(result.request.steps),
                                 seconds_text(whole.seconds()), whole.runs.size(), seconds_text(whole.best_seconds()),
                                 whole.work / 1e9, share(whole.work, whole.seconds(), peak));
  const std::optional<double> seconds = result.seconds_of(kUsualSteps);
  if (result.request.steps == kUsualSteps || !seconds) return text;
  const double work = result.work_of(kUsualSteps);
  return text + fmt::format("  with {} steps, by the stages' medians: {}; {:.1f} GFLOP{}\n", kUsualSteps,
                            seconds_text(*seconds), work / 1e9, share(work, *seconds, peak));
}

std::string first_step_lines(const FirstStep& first) {
  std::string text =
      fmt::format("first step: {} from opening the model: open {}, plan {}, prepare {}", seconds_text(first.total()),
                  seconds_text(first.open), seconds_text(first.plan), seconds_text(first.prepare));
  for (size_t i = 0; i < first.components.size(); ++i)
    text +=
        fmt::format("{}{} {}", i ? ", " : " (", first.components[i].first, seconds_text(first.components[i].second));
  text += first.components.empty() ? "" : ")";
  return text + fmt::format(", texts {}, step {}\n", seconds_text(first.text_encoder), seconds_text(first.step));
}

std::vector<const Measurement*> stages_of(const BenchResult& result) {
  std::vector<const Measurement*> stages{&result.text_encoder, &result.steps[0]};
  for (size_t kind = 1; kind < result.steps.size(); ++kind)
    if (!result.steps[kind].runs.empty()) stages.push_back(&result.steps[kind]);
  stages.push_back(&result.vae);
  return stages;
}

std::string memory_lines(const BenchResult& result) {
  const MemoryPeaks& peaks = result.memory;
  std::string text =
      fmt::format("memory: {}; measured {} resident at the peak ({} anonymous, {} of files)\n", plan_line(result.plan),
                  byte_text(peaks.resident), byte_text(peaks.anonymous), byte_text(peaks.file_backed));
  if (!result.stages_apart)
    text += "  this kernel does not let its high-water mark begin anew: a stage's resident peak is the run's so far\n";
  return text;
}

}  // namespace

JsonObject work_json(double seconds, double flops, double peak) {
  return {{"seconds", seconds},
          {"flops", flops},
          {"gflops_per_second", per_second(flops, seconds) / 1e9},
          {"fraction_of_peak", peak > 0 ? Json(per_second(flops, seconds) / peak) : Json()}};
}

JsonObject peaks_json(const MemoryPeaks& peaks) {
  return {{"measured_peak_bytes", peaks.resident},
          {"anonymous_peak_bytes", peaks.anonymous},
          {"file_backed_peak_bytes", peaks.file_backed}};
}

JsonObject measurement_json(const Measurement& measurement, double peak) {
  JsonObject result = work_json(measurement.seconds(), measurement.work, peak);
  const OpTotals all = measurement.calls_in_all();
  result["best_seconds"] = measurement.best_seconds();
  result["best_fraction_of_peak"] =
      work_json(measurement.best_seconds(), measurement.work, peak).at("fraction_of_peak");
  result["mean_seconds"] = measurement.mean_seconds();
  result["runs"] = measurement.runs.size();
  result["run_seconds"] = JsonArray(measurement.runs.begin(), measurement.runs.end());
  result["calls"] = all.calls;
  result["flops_run"] = all.flops;
  result["bytes_moved"] = all.bytes;
  JsonObject memory = peaks_json(measurement.memory);
  memory["planned_bytes"] = measurement.planned;
  result["memory"] = std::move(memory);
  JsonArray ops;
  for (const OpTotals& op : totals_by_op(measurement.profiles)) {
    JsonObject entry = work_json(op.seconds, op.flops, peak);
    entry["op"] = op.op;
    entry["calls"] = op.calls;
    entry["bytes_moved"] = op.bytes;
    ops.push_back(std::move(entry));
  }
  result["ops"] = std::move(ops);
  return result;
}

JsonObject bench_json(const Loaded& loaded, const BenchResult& result) {
  const double peak = result.peaks.of(result.plan.precision);
  const auto gflops = [](double flops) { return flops > 0 ? Json(flops / 1e9) : Json(); };
  JsonObject machine = device_json(loaded.engine->backend().info());
  machine["threads"] = threads();
  machine["peak_fp32_gflops_per_second"] = gflops(result.peaks.fp32);
  machine["peak_bf16_gflops_per_second"] = gflops(result.peaks.bf16);
  JsonObject stages;
  for (const Measurement* stage : stages_of(result)) {
    std::string key = stage->stage == "VAE" ? "vae" : stage->stage;
    std::ranges::replace(key, ' ', '_');
    stages[key] = measurement_json(*stage, peak);
  }
  JsonObject memory = plan_json(result.plan);
  memory["planned_peak_bytes"] = result.plan.peak_bytes;
  memory["stages_told_apart"] = result.stages_apart;
  for (const auto& [key, value] : peaks_json(result.memory)) memory[key] = value;
  return {{"version", kVersion},
          {"model", model_json(loaded)},
          {"machine", std::move(machine)},
          {"width", result.request.width},
          {"height", result.request.height},
          {"precision", name_of(result.plan.precision)},
          {"steps", result.request.steps},
          {"repeat", result.repeat},
          {"prepare_seconds", result.first.prepare},
          {"first_step", first_step_json(result.first)},
          {"approximations", approximations_text(result.request)},
          {"stages", std::move(stages)},
          {"end_to_end", end_to_end_json(result, peak)},
          {"memory", std::move(memory)}};
}

std::string bench_table(const Loaded& loaded, const BenchResult& result) {
  const double peak = result.peaks.of(result.plan.precision);
  std::string text = fmt::format("model: {}, {} parameters\n", loaded.name, millions(all_parameters(loaded.model())));
  text += fmt::format("device: {}\n", device_text(loaded.engine->backend().info()));
  if (result.peaks.fp32 > 0)
    text += "peak: " + rate_line("fp32", result.peaks.fp32) + rate_line(", bf16", result.peaks.bf16) + "\n";
  text += fmt::format("measured: {}x{} in {}, {}, {} time{}\n", result.request.width, result.request.height,
                      name_of(result.plan.precision), steps_text(result.request.steps), result.repeat,
                      result.repeat == 1 ? "" : "s");
  if (const std::string less = approximations_text(result.request); !less.empty())
    text += "approximate: " + less + "\n";
  for (const Measurement* stage : stages_of(result)) text += measurement_table(*stage, peak);
  return text + end_to_end_lines(result, peak) + first_step_lines(result.first) + memory_lines(result);
}

}  // namespace inkstone
