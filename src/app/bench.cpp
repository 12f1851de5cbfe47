// inkstone bench: how fast this machine draws, each stage and op against the machine's own peak measured in the same run.
#include <algorithm>
#include <boost/json/serialize.hpp>
#include <utility>

#include "app/bench_report.h"
#include "app/bench_stages.h"
#include "app/commands.h"
#include "app/comparison.h"
#include "app/console.h"
#include "app/loading.h"
#include "app/output_path.h"
#include "app/report.h"
#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/parallel.h"

namespace inkstone {
namespace {

ResolvedRequest bench_request(const Options& options, const Engine& engine) {
  constexpr int kSteps = 2;
  ImageRequest request = options.request;
  request.prompt = "a red apple to the left of a bee";
  request.guidance_scale =
      std::max(engine.pipeline().traits.guidance_scale, 2.0f);  // guided, whatever the model asks for
  request.steps = options.timed_steps.value_or(kSteps);
  request.scheduler = "ddim";  // one evaluation of the U-Net a step
  return resolve_request(engine, request);
}

void write_text(const std::string& path, const std::string& text) { write_file(path, std::as_bytes(std::span(text))); }

// What can be wrong with the files is found before the work.
void check_files(const Options& options) {
  constexpr uint64_t kResultBytes = 1 << 16, kTraceBytes = 1 << 20;
  INKSTONE_CHECK_USAGE(!options.out || options.out != options.trace, "--out and --trace name the same file, ",
                       options.out.value_or(""));
  if (options.out) check_writable(*options.out, kResultBytes);
  if (options.trace) check_writable(*options.trace, kTraceBytes);
}

JsonObject read_comparable(const std::string& path, const Loaded& loaded, const ResolvedRequest& request) {
  JsonObject before = read_bench(path);
  expect_same_work(before, path, {{"model", model_json(loaded)}, {"width", request.width}, {"height", request.height}});
  return before;
}

}  // namespace

int run_bench(const Options& options) {
  const Console console{options.quiet.value_or(false), options.verbose.value_or(false)};
  set_threads(thread_count(options, console));
  check_files(options);
  const double opening = steady_seconds();
  const Loaded loaded = load(options);
  const ResolvedRequest request = bench_request(options, *loaded.engine);
  JsonObject before;
  if (options.compare) before = read_comparable(*options.compare, loaded, request);

  Bench bench(*loaded.engine, request, options.repeat.value_or(1), console, opening);
  const BenchResult result = bench.run();
  JsonObject object = bench_json(loaded, result);
  std::string table = bench_table(loaded, result);
  if (options.compare) {
    const Comparison comparison = compare(object, before, *options.compare);
    object["compared"] = comparison_json(comparison);
    table += comparison_table(comparison);
  }
  if (options.trace) write_text(*options.trace, bench.trace().text());
  if (options.out) write_text(*options.out, json_text(object) + "\n");
  if (options.json.value_or(false)) {
    console.say(table);
    print_json(object);
  } else if (!console.quiet) {
    write_output(table);
  }
  return 0;
}

}  // namespace inkstone
