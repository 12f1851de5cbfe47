// inkstone bench: how fast this machine draws, each stage and op against the machine's own peak measured in the same run.
#include <fmt/format.h>

#include <algorithm>
#include <boost/json/serialize.hpp>
#include <chrono>
#include <functional>
#include <utility>

#include "app/byte_size.h"
#include "app/commands.h"
#include "app/console.h"
#include "app/loading.h"
#include "app/measurement.h"
#include "app/output_path.h"
#include "app/progress.h"
#include "app/report.h"
#include "app/version.h"
#include "backend/backend.h"
#include "base/error.h"
#include "base/file.h"
#include "base/parallel.h"
#include "diffusion/generate.h"
#include "diffusion/process.h"

namespace inkstone {
namespace {

double seconds_of(const std::function<void()>& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

// One run to warm up (pages, caches), then `runs` that count. The program is asked for again after the warm-up: a tight memory
// budget may have given it back in between.
Measurement measure(const std::string& stage, int runs, const std::function<Program&()>& program,
                    const std::function<void()>& work) {
  Measurement measurement{stage, {}, {}};
  work();
  program().start_profile();
  for (int run = 0; run < runs; ++run) measurement.runs.push_back(seconds_of(work));
  measurement.ops = totals_by_op(program().take_profile(), runs);
  return measurement;
}

struct Peaks {
  double fp32 = 0, bf16 = 0;  // floating point operations a second
  double of(Precision precision) const { return precision == Precision::kBf16 ? bf16 : fp32; }
};

struct Result {
  Request request;
  EnginePlan plan;
  Peaks peaks;
  double prepare_seconds = 0;
  Measurement text_encoder, unet, vae;
};

Result run_stages(Engine& engine, const Request& request, const Console& console) {
  Result result{request, engine.plan(request.width, request.height, true), {}, 0, {}, {}, {}};
  console.say("measuring the machine's peak");
  result.peaks = {engine.peak_flops(DType::kF32), engine.peak_flops(DType::kBF16)};
  console.say("preparing");
  result.prepare_seconds = seconds_of([&] { engine.prepare(request); });

  console.say("text encoder");
  int number = 0;  // the engine keeps the last prompts' texts: each run has a prompt of its own
  const auto text_program = [&]() -> Program& { return engine.text_program(); };
  result.text_encoder = measure("text encoder", 2, text_program,
                                [&] { engine.encode_text(fmt::format("{} {}", request.prompt, ++number)); });

  console.say("guided steps");
  Job job = engine.start(request);
  const auto unet_program = [&]() -> Program& { return engine.unet_program(2, request.width, request.height); };
  result.unet = measure("guided step", request.steps - 1, unet_program, [&] { engine.step(job); });

  console.say("VAE");
  const auto vae_program = [&]() -> Program& { return engine.vae_program(request.width, request.height); };
  result.vae = measure("VAE", 1, vae_program, [&] { engine.finish(job); });
  return result;
}

JsonObject result_json(const Loaded& loaded, const Result& result) {
  const double peak = result.peaks.of(result.plan.precision);
  const auto gflops = [](double flops) { return flops > 0 ? Json(flops / 1e9) : Json(); };
  JsonObject machine = device_json(loaded.engine->device());
  machine["threads"] = threads();
  machine["peak_fp32_gflops_per_second"] = gflops(result.peaks.fp32);
  machine["peak_bf16_gflops_per_second"] = gflops(result.peaks.bf16);
  JsonObject memory = plan_json(result.plan);
  memory["planned_peak_bytes"] = result.plan.peak_bytes;
  memory["measured_peak_bytes"] = peak_resident_bytes();
  return {{"version", kVersion},
          {"model", model_json(loaded)},
          {"machine", std::move(machine)},
          {"width", result.request.width},
          {"height", result.request.height},
          {"precision", precision_name(result.plan.precision)},
          {"prepare_seconds", result.prepare_seconds},
          {"stages", JsonObject{{"text_encoder", measurement_json(result.text_encoder, peak)},
                                {"guided_step", measurement_json(result.unet, peak)},
                                {"vae", measurement_json(result.vae, peak)}}},
          {"memory", std::move(memory)}};
}

std::string peak_text(double flops, const char* name) {
  return flops > 0 ? fmt::format("{} {:.1f} GFLOP/s", name, flops / 1e9) : "";
}

std::string result_table(const Loaded& loaded, const Result& result) {
  const double peak = result.peaks.of(result.plan.precision);
  std::string text =
      fmt::format("model      {}, {} parameters\n", loaded.name, millions(all_parameters(loaded.model())));
  text += fmt::format("device     {}, {} threads\n", device_text(loaded.engine->device()), threads());
  text += "peak       " + peak_text(result.peaks.fp32, "fp32") + peak_text(result.peaks.bf16, ", bf16");
  text += fmt::format("\nmeasured   {}x{} in {}\n", result.request.width, result.request.height,
                      precision_name(result.plan.precision));
  for (const Measurement* measurement : {&result.text_encoder, &result.unet, &result.vae})
    text += measurement_table(*measurement, peak);
  return text + fmt::format("memory     {}, {} measured at the peak; prepared in {}\n", plan_line(result.plan),
                            byte_text(peak_resident_bytes()), duration_text(result.prepare_seconds));
}

}  // namespace

int run_bench(const Options& options) {
  constexpr int kSteps = 2;
  const bool json = options.json.value_or(false);
  const Console console{options.quiet.value_or(false), options.verbose.value_or(false)};
  set_threads(options.threads.value_or(usable_cores()));
  const Loaded loaded = load(options);
  Request request = request_of(options, loaded.model());
  request.prompt = "a red apple to the left of a bee";
  request.guidance = std::max(request.guidance, 2.0f);  // guided, whatever the model asks for
  request.steps = options.steps.value_or(kSteps) + 1;   // the first one warms up
  request.scheduler.kind = SchedulerKind::kDdim;        // one call of the U-Net a step
  loaded.engine->check(request);
  if (options.out) check_writable(*options.out, 1 << 16);

  const Result result = run_stages(*loaded.engine, request, console);
  const JsonObject object = result_json(loaded, result);
  if (options.out) {
    const std::string text = boost::json::serialize(object) + "\n";
    write_file(*options.out, std::as_bytes(std::span(text)));
  }
  if (json) {
    console.say(result_table(loaded, result));
    print_json(object);
  } else if (!console.quiet) {
    write_output(result_table(loaded, result));
  }
  return 0;
}

}  // namespace inkstone
