// inkstone pull: a model from the Hugging Face hub into its cache.
#include "hub/pull.h"

#include <fmt/format.h>

#include <thread>

#include "app/byte_size.h"
#include "app/commands.h"
#include "app/pull_view.h"
#include "app/report.h"
#include "app/signals.h"
#include "base/error.h"
#include "base/json.h"
#include "diffusion/pipeline.h"
#include "hub/curl_transport.h"

namespace inkstone {
namespace {

constexpr const char* kStopped =
    "inkstone: interrupted; what came so far is kept: run the same command again, and it goes on there\n";

HubId id_of(const Options& options) {
  const std::string text = options.model.value_or("");
  INKSTONE_CHECK_USAGE(!text.empty(),
                       "which model? inkstone pull ORG/NAME, such as inkstone pull "
                       "stable-diffusion-v1-5/stable-diffusion-v1-5");
  const HubId id = text.find("://") == std::string::npos ? parse_hub_id(text) : hub_id_in_url(text);
  INKSTONE_CHECK_USAGE(!id.name.empty(), text, " is no model on the hub: must be ORG/NAME or ORG/NAME@REVISION");
  return id;
}

PullChecks checks() {
  return {&Pipeline::check_index, [](const std::filesystem::path& folder, const Json& index,
                                     const std::string& source) { Pipeline::describe(folder, index, source); }};
}

void report(const PullResult& result, const HubId& id, const Console& console) {
  for (const std::string& hidden : result.hidden) console.say("inkstone: note: " + hidden);
  const std::string folder = result.folder.string();
  if (result.received == 0)
    console.say(fmt::format("{} is up to date: {}", id.text(), folder));
  else
    console.say(
        fmt::format("{} is in {}\ndraw with it: inkstone generate \"a fox\" --model {}", id.text(), folder, id.text()));
}

}  // namespace

int run_pull(const Options& options) {
  const HubId id = id_of(options);
  const PullOrder order{id, weight_variant(options.variant.value_or("auto")).value(), hub_cache()};
  const Console console{options.quiet.value_or(false), options.verbose.value_or(false)};
  PullView view(progress_kind(console.quiet), console, id.text());
  const auto pause = [&](const std::string& why, double seconds) {
    view.pauses(why, seconds);
    std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
  };
  say_when_stopped(kStopped);
  const std::unique_ptr<HttpTransport> transport = curl_transport();
  HubClient client(*transport, hub_access(), id, pause);
  const PullResult result = pull_model(order, client, checks(), view);
  view.clear();
  report(result, id, console);
  if (options.json.value_or(false))
    print_json({{"model", id.model()},
                {"revision", id.revision},
                {"commit", result.plan.commit},
                {"folder", result.folder.string()},
                {"files", result.plan.files},
                {"bytes", result.plan.bytes},
                {"received_bytes", result.received}});
  return 0;
}

}  // namespace inkstone
