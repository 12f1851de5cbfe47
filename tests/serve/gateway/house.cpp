#include "serve/gateway/house.h"

#include <unistd.h>

#include <chrono>
#include <fstream>

#include "serve/gateway/worker/simulated_picture.h"
#include "serve/log.h"
#include "serve/picture_file.h"

namespace inkstone {
namespace {

std::filesystem::path new_folder() {
  std::string name = (std::filesystem::temp_directory_path() / "inkstone_gateway_XXXXXX").string();
  return mkdtemp(name.data());
}

WorkerCommand command_of(const std::vector<std::string>& flags) {
  std::vector<std::string> command{INKSTONE_SIMULATED_WORKER};
  command.insert(command.end(), flags.begin(), flags.end());
  return [command](const std::string&) { return command; };
}

}  // namespace

ServeSettings quick_settings() {
  ServeSettings settings;
  settings.watchdog_least = 20;
  settings.grace = 20;
  settings.most_per_client = 1000;
  settings.most_queue = 1000;
  return settings;
}

House::House(HouseOptions options)
    : folder((set_log(false, LogLevel::kError), new_folder())),
      gateway(events, options.settings, command_of(options.flags)) {}

House::~House() {
  gateway.stop();
  std::filesystem::remove_all(folder);
}

bool House::until(const std::function<bool()>& holds, double seconds) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  while (!holds()) {
    if (std::chrono::steady_clock::now() > end) return false;
    events.restart();
    events.run_one_for(std::chrono::milliseconds(20));
  }
  return true;
}

void House::pass(double seconds) {
  until([] { return false; }, seconds);
}

bool House::ready() {
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
  PictureRequest request;
  request.prompt = prompt;
  request.steps = steps;
  request.width = request.height = 64;
  request.scheduler = "euler";
  order.pictures = {request};
  return order;
}

const OrderState* House::place(const std::string& prompt, int steps, std::function<void(Order&)> change) {
  Order order = order_of(prompt, steps);
  if (change) change(order);
  return gateway.place(order).order;
}

Rejection House::refused(const std::string& prompt, int steps, std::function<void(Order&)> change) {
  Order order = order_of(prompt, steps);
  if (change) change(order);
  return gateway.place(order).rejection;
}

std::string House::end_of(const OrderState* order, size_t picture) {
  if (!ended(order)) return "never ended";
  const PictureState& state = order->pictures[picture];
  return state.stage == Stage::kFailed ? state.failure.code : std::string(stage_name(state.stage));
}

std::vector<int> House::pids() const {
  std::vector<int> pids;
  for (const WorkerFigures& worker : gateway.figures().workers)
    if (worker.pid > 0) pids.push_back(worker.pid);
  return pids;
}

std::string House::counter() { return (folder / std::to_string(counters_++)).string(); }

bool as_alone(const OrderState& order) {
  for (const PictureState& picture : order.pictures) {
    const PictureRequest& request = picture.request;
    const std::string file = picture_file(simulated_picture(request, calls_of(request)), order.order.format,
                                          order.order.quality, parameters_text(request, simulated_card()));
    if (!picture.file || *picture.file != file) return false;
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

}  // namespace inkstone
