#include "serve/gateway/gateway_fixture.h"

#include <unistd.h>

#include <chrono>
#include <fstream>

#include "base/image_file.h"
#include "diffusion/parameters.h"
#include "serve/gateway/worker/simulated_image.h"
#include "serve/support/log.h"

namespace inkstone::serve {
namespace {

WorkerProgram program_of(const std::vector<std::string>& flags) {
  std::vector<std::string> program{INKSTONE_SIMULATED_WORKER};
  program.insert(program.end(), flags.begin(), flags.end());
  return [program](const std::string&) { return program; };
}

}  // namespace

ServeSettings quick_settings() {
  ServeSettings settings;
  settings.watchdog_min = 20;
  settings.grace = 20;
  settings.max_per_client = 1000;
  settings.max_queue = 1000;
  return settings;
}

GatewayFixture::GatewayFixture(FixtureOptions options)
    : gateway((set_log(false, LogLevel::kError), events), options.settings, program_of(options.flags)) {}

GatewayFixture::~GatewayFixture() { gateway.stop(); }

bool GatewayFixture::until(const std::function<bool()>& holds, double seconds) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  while (!holds()) {
    if (std::chrono::steady_clock::now() > end) return false;
    events.restart();
    events.run_one_for(std::chrono::milliseconds(20));
  }
  return true;
}

void GatewayFixture::pass(double seconds) {
  until([] { return false; }, seconds);
}

bool GatewayFixture::ready() {
  return until([&] {
    const ServiceFigures figures = gateway.figures();
    for (const WorkerFigures& worker : figures.workers)
      if (worker.state != "ready" && worker.state != "busy") return false;
    return figures.ready;
  });
}

Order order_of(const std::string& prompt, int steps) {
  Order order;
  order.client = "ip:127.0.0.1";
  order.stays = true;
  order.asked = prompt;
  ImageRequest request;
  request.prompt = prompt;
  request.steps = steps;
  request.width = request.height = 64;
  request.scheduler = "euler";
  order.images = {std::make_shared<const ResolvedRequest>(resolved(request))};
  return order;
}

void say(Order& order, const std::function<void(ImageRequest&)>& change) {
  ImageRequest request = order.images[0]->said();
  change(request);
  order.images[0] = std::make_shared<const ResolvedRequest>(resolved(request));
}

const OrderState* GatewayFixture::submit(const std::string& prompt, int steps, std::function<void(Order&)> change) {
  Order order = order_of(prompt, steps);
  if (change) change(order);
  return gateway.submit(order).order;
}

Rejection GatewayFixture::refused(const std::string& prompt, int steps, std::function<void(Order&)> change) {
  Order order = order_of(prompt, steps);
  if (change) change(order);
  return gateway.submit(order).rejection;
}

std::string GatewayFixture::end_of(const OrderState* order, size_t image) {
  if (!ended(order)) return "never ended";
  const ImageState& state = order->images[image];
  return state.stage == Stage::kFailed ? state.failure.code : std::string(stage_name(state.stage));
}

std::vector<int> GatewayFixture::pids() const {
  std::vector<int> pids;
  for (const WorkerFigures& worker : gateway.figures().workers)
    if (worker.pid > 0) pids.push_back(worker.pid);
  return pids;
}

std::string GatewayFixture::counter() { return (folder_.path() / std::to_string(counters_++)).string(); }

bool as_alone(const OrderState& order) {
  for (size_t i = 0; i < order.images.size(); ++i) {
    const ResolvedRequest& request = *order.order.images[i];
    Variant variant;
    const bool is_default = order.order.model.empty() || order.order.model == simulated_card().name;
    if (!is_default) variant.model.path = order.order.model + ".safetensors";
    for (const AdapterTag& tag : order.order.adapters)
      variant.adapters.push_back({tag.name + ".safetensors", "", tag.text, tag.unet});
    const std::string file = image_file(
        simulated_image(request.said(), request.evaluations(), variant), order.order.format, order.order.quality,
        parameters_text(request, is_default ? simulated_card().name : order.order.model));
    if (!order.images[i].file || *order.images[i].file != file) return false;
  }
  return true;
}

int open_descriptors() {
  int count = 0;
  for ([[maybe_unused]] const auto& file : std::filesystem::directory_iterator("/proc/self/fd")) count++;
  return count;
}

int children() {
  std::ifstream list("/proc/self/task/" + std::to_string(getpid()) + "/children");
  int pid = 0, count = 0;
  while (list >> pid) count++;
  return count;
}

}  // namespace inkstone::serve
