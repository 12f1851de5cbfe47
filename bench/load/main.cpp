// inkstone_load: asks a server for images at times that were fixed before, and says how it fared
// (docs/operating.md).
#include <CLI/CLI.hpp>
#include <algorithm>
#include <boost/json/serialize.hpp>
#include <cstdio>

#include "base/error.h"
#include "base/file.h"
#include "load/arrivals.h"
#include "load/load_run.h"
#include "load/plot.h"

namespace inkstone {
namespace {

struct Flags {
  std::string url = "http://127.0.0.1:8080", api = "generate", model, key_file;
  bool remote = false, no_stream = false, deadlines = false, verify = false;
  std::string arrivals = "poisson", trace, requests, hashes, solo, json, plot, details;
  ArrivalPlan plan;
  double time_scale = 1, warm_up = 0, timeout = 120, aborts = 0, slo = 0, slo_scale = 0;
  double abort_within = 0, progress = 5;
  int max_open = 1000;
  Mix mix;
};

constexpr const char* kAbout =
    "Asks a server for images at moments that are fixed before the run (an open loop): a slow server does not slow\n"
    "down who asks. All latencies count from the intended moment. Nothing is tried twice. Every PNG is decoded and "
    "its\n"
    "pixels hashed. The run ends at the latest --timeout after the last request.\n"
    "Exit code: 0, 1 where an image was wrong (--verify) or the run broke down, 2 for a wrong flag.";

constexpr const char* kExamples =
    "\nExamples:\n"
    "  inkstone_load --rate 4 --seconds 60 --steps 4-20 --guidance 1,3 --slo 2 --json run.json --plot run.svg\n"
    "  inkstone_load --arrivals bursty --rate 8 --count 500 --distinct 50 --aborts 0.05 --solo solo.json --verify\n"
    "  inkstone_load --trace day.jsonl --time-scale 0.1 --api openai --model stable-diffusion-v1-5\n"
    "A request in a file is a line: {\"prompt\":\"a fox\",\"seed\":1,\"width\":512,\"height\":512,\n"
    "  \"num_inference_steps\":20,\"guidance_scale\":7.5,\"scheduler\":\"euler\",\"negative_prompt\":\"\",\n"
    "  \"num_images_per_prompt\":1,\"priority\":\"normal\",\"slo_ms\":4000,\"time\":0.25}; each field may be left out.";

void add_target_flags(CLI::App& app, Flags& f) {
  app.add_option("--url", f.url, "The server; an address of this machine")->capture_default_str()->group("Target");
  app.add_flag("--allow-remote", f.remote, "Let --url be another machine. Ask its owner first")->group("Target");
  app.add_option("--api", f.api, "generate | openai | a1111")->capture_default_str()->group("Target");
  app.add_option("--model", f.model, "OpenAI's field of that name")->group("Target");
  app.add_option("--key-file", f.key_file, "A file with the API key, sent as a bearer's")->group("Target");
  app.add_flag("--no-stream", f.no_stream, "generate: one answer instead of events; no time to the first step")
      ->group("Target");
  app.add_flag("--deadlines", f.deadlines, "generate: tell the server the SLO as deadline_ms")->group("Target");
}

void add_arrival_flags(CLI::App& app, Flags& f) {
  const char* group = "When";
  app.add_option("--arrivals", f.arrivals, "poisson | bursty (on and off) | even")->capture_default_str()->group(group);
  app.add_option("--rate", f.plan.rate, "Requests a second, on average")->capture_default_str()->group(group);
  app.add_option("--seconds", f.plan.seconds, "How long to send")->group(group);
  app.add_option("--count", f.plan.count, "How many to send")->group(group);
  app.add_option("--on", f.plan.on_seconds, "bursty: seconds of a burst")->capture_default_str()->group(group);
  app.add_option("--off", f.plan.off_seconds, "bursty: seconds between bursts")->capture_default_str()->group(group);
  app.add_option("--trace", f.trace, "JSON lines with \"time\" in seconds, instead of all these")->group(group);
  app.add_option("--time-scale", f.time_scale, "trace: multiplies its times")->capture_default_str()->group(group);
  app.add_option("--warm-up", f.warm_up, "Seconds at the start that the figures leave out")->group(group);
  app.add_option("--seed", f.plan.seed, "Of arrivals, mix and aborts")->capture_default_str()->group(group);
}

void add_mix_flags(CLI::App& app, Flags& f) {
  const char* group = "What";
  app.add_option("--requests", f.requests, "JSON lines; drawn from at random, instead of the flags below")
      ->group(group);
  app.add_option("--prompt", f.mix.prompts, "May be given several times")->group(group);
  app.add_option("--negative-prompt", f.mix.negative_prompt)->group(group);
  app.add_option("--sizes", f.mix.sizes, "512,768x512")->group(group);
  app.add_option("--steps", f.mix.steps, "20 | 4,8 | 4-20")->group(group);
  app.add_option("--guidance", f.mix.guidance, "7.5 | 1,3-7.5; in quarters")->group(group);
  app.add_option("--schedulers", f.mix.schedulers, "euler,ddim; a1111: sampler names")->group(group);
  app.add_option("--images", f.mix.images, "Of each request")->capture_default_str()->group(group);
  app.add_option("--distinct", f.mix.distinct, "Different requests in the mix")->capture_default_str()->group(group);
}

void add_judging_flags(CLI::App& app, Flags& f) {
  const char* group = "How to judge";
  app.add_option("--slo", f.slo, "Seconds within which an image counts as good")->group(group);
  app.add_option("--slo-scale", f.slo_scale, "With --solo: so many times what it took alone")->group(group);
  app.add_option("--timeout", f.timeout, "Seconds until a request is given up")->capture_default_str()->group(group);
  app.add_option("--aborts", f.aborts, "The part of the requests whose sender goes away")->group(group);
  app.add_option("--abort-within", f.abort_within, "Seconds; at a random moment (default: the SLO, else 1)")
      ->group(group);
  app.add_option("--max-open", f.max_open, "Connections")->capture_default_str()->group(group);
  app.add_flag("--verify", f.verify, "The same request must give the same pixels, in the run and in --hashes")
      ->group(group);
  app.add_option("--hashes", f.hashes, "A file that --solo wrote")->group(group);
  app.add_option("--solo", f.solo, "First run each different request alone, and write their hashes here")->group(group);
  app.add_option("--json", f.json, "Write the figures here")->group("Output");
  app.add_option("--plot", f.plot, "Write an SVG here")->group("Output");
  app.add_option("--details", f.details, "Write a JSON line for each request here")->group("Output");
  app.add_option("--progress", f.progress, "Seconds between lines; 0: none")->capture_default_str()->group("Output");
}

void write_text(const std::string& path, const std::string& text) {
  if (!path.empty()) write_file(path, std::as_bytes(std::span(text)));
}

void plan_trace(const Flags& f, LoadPlan& plan) {
  plan.requests = read_requests(f.trace);
  std::vector<size_t> order(plan.requests.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  for (const LoadRequest& request : plan.requests)
    INKSTONE_CHECK_USAGE(request.at && *request.at >= 0, f.trace, ": every line of a trace has a \"time\" in seconds");
  const auto time = [&](size_t i) { return *plan.requests[i].at; };
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return time(a) < time(b); });
  for (const size_t i : order) {
    plan.which.push_back(i);
    plan.times.push_back(time(i) * f.time_scale);
  }
}

LoadPlan plan_of(Flags& f) {
  LoadPlan plan;
  plan.target = target_of(f.url, f.remote);
  if (!f.key_file.empty()) {
    plan.target.key = read_file(f.key_file, 4096);
    plan.target.key.resize(std::min(plan.target.key.find_first_of("\r\n"), plan.target.key.size()));
  }
  plan.wording = {dialect(f.api), f.model, !f.no_stream, f.deadlines};
  INKSTONE_CHECK_USAGE(f.timeout > 0 && f.aborts >= 0 && f.aborts <= 1 && f.max_open > 0 && f.time_scale > 0,
                       "--timeout, --max-open and --time-scale are more than 0, --aborts is from 0 to 1");
  INKSTONE_CHECK_USAGE(f.slo_scale <= 0 || !f.solo.empty(), "--slo-scale needs --solo, which measures");
  if (!f.trace.empty()) {
    plan_trace(f, plan);
  } else {
    f.plan.kind = arrival_kind(f.arrivals);
    f.mix.seed = f.plan.seed;
    plan.requests = f.requests.empty() ? draw_requests(f.mix) : read_requests(f.requests);
    plan.times = arrival_times(f.plan);
    Dice dice(f.plan.seed + 2);
    for (size_t i = 0; i < plan.times.size(); ++i) plan.which.push_back(dice.below(plan.requests.size()));
  }
  if (f.slo > 0)
    for (LoadRequest& request : plan.requests)
      if (!request.slo) request.slo = f.slo;
  plan.timeout = f.timeout;
  plan.aborts = f.aborts;
  plan.abort_within = f.abort_within > 0 ? f.abort_within : f.slo > 0 ? f.slo : 1;
  plan.max_open = f.max_open;
  plan.verify = f.verify;
  plan.seed = f.plan.seed;
  plan.progress_seconds = f.progress;
  return plan;
}

int run_load(Flags& f) {
  LoadPlan plan = plan_of(f);
  const double last = plan.times.empty() ? 0 : plan.times.back();
  const double until = f.trace.empty() && f.plan.seconds > 0 && f.plan.count == 0 ? f.plan.seconds : last;
  std::fprintf(stderr, "%zu requests of %zu kinds over %.1f s to %s (%s)\n", plan.times.size(), plan.requests.size(),
               until, plan.target.host.c_str(), f.api.c_str());
  HashStore hashes;
  if (!f.hashes.empty()) hashes.read(f.hashes);
  LoadRun run(std::move(plan), hashes);
  if (!f.solo.empty()) {
    run.run_solo(f.slo_scale);
    hashes.write(f.solo);
    std::fprintf(stderr, "each request ran alone; %zu hashes in %s\n", hashes.size(), f.solo.c_str());
  }
  const std::vector<Record> records = run.run();
  const Figures figures = figures_of(records, f.warm_up, std::max(until, f.warm_up));
  std::fputs(table_of(figures).c_str(), stdout);
  JsonObject report{{"tool", "inkstone_load"}, {"url", f.url}, {"api", f.api}, {"seed", f.plan.seed}};
  report["arrivals"] = f.trace.empty() ? f.arrivals : "trace";
  report["rate"] = f.plan.rate;
  report["figures"] = to_json(figures);
  report["series"] = to_json(seconds_of(records));
  write_text(f.json, f.json.empty() ? "" : boost::json::serialize(report) + "\n");
  char title[160];
  std::snprintf(title, sizeof title, "%s, %s arrivals, %.3g requests/s for %.0f s: goodput %.3g/s", f.api.c_str(),
                f.trace.empty() ? f.arrivals.c_str() : "traced", figures.offered, until, figures.goodput);
  write_text(f.plot, f.plot.empty() ? "" : plot_of(records, title));
  std::string details;
  if (!f.details.empty())
    for (const Record& record : records) details += line_of(record) + "\n";
  write_text(f.details, details);
  const auto wrong = figures.fates[static_cast<int>(Fate::kWrong)];
  for (const Record& record : records)
    if (record.fate == Fate::kWrong) std::fprintf(stderr, "wrong image: %s\n", record.detail.c_str());
  return wrong > 0 ? 1 : 0;
}

}  // namespace
}  // namespace inkstone

int main(int argc, char** argv) {
  using namespace inkstone;
  Flags flags;
  CLI::App app(kAbout, "inkstone_load");
  app.footer(kExamples);
  add_target_flags(app, flags);
  add_arrival_flags(app, flags);
  add_mix_flags(app, flags);
  add_judging_flags(app, flags);
  try {
    app.parse(argc, argv);
    return run_load(flags);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  } catch (const UsageError& error) {
    std::fprintf(stderr, "inkstone_load: %s\n", error.what());
    return 2;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "inkstone_load: %s\n", error.what());
    return 1;
  }
}
