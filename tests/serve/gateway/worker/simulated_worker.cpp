// A worker without a model. How long it takes comes from its flags (NAME=NUMBER), what goes wrong
// from words of a prompt: WHAT@WHERE, as in die@encode, die@step:3, stop@decode; WHAT is die, stop
// (SIGSTOP), garbage, unusable, nan, wrong, rowless, callless, stranger, early, failed, unasked, large,
// slow or leave. "times:N:FILE" in the prompt: only N
// times, counted in that file over the lives of workers.
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <map>
#include <optional>
#include <sstream>
#include <thread>

#include "serve/gateway/worker/simulated_image.h"
#include "serve/wire/wire.h"

namespace inkstone::serve {
namespace {

constexpr int kSocket = 3;

struct Job {
  ImageRequest request;
  uint64_t state = 0;
  Variant variant{};
  int call = 0;
};

class SimulatedWorker {
 public:
  explicit SimulatedWorker(std::map<std::string, double> flags) : flags_(std::move(flags)) {}

  int run() {
    wait(flags_["hello_ms"]);
    if (flags_["never_ready"] > 0) return 1;
    if (flags_["broken"] > 0) return 1;
    hello();
    while (std::optional<WorkerCommand> command = receive_command(kSocket))
      std::visit([this](auto& o) { obey(o); }, *command);
    return 0;
  }

 private:
  void wait(double ms) { std::this_thread::sleep_for(std::chrono::duration<double, std::milli>(ms)); }

  void hello() {
    Hello hello;
    hello.device = "cpu";
    hello.description = "simulated";
    hello.precision = "fp32";
    hello.model = simulated_card();
    hello.model.fingerprint = flags_["another"] > 0 ? "another" : "one";
    hello.max_jobs = 8;
    const double row = std::max(flags_["row_ms"], 0.01) / 1000, step = std::max(flags_["step_ms"], 0.1) / 1000;
    ShapeTimes times{64, 64, {}, std::max(flags_["encode_ms"], 0.1) / 1000, std::max(flags_["decode_ms"], 0.1) / 1000};
    for (const int rows : {1, 2, 4, 8, 16}) times.steps.push_back({rows, step + row * rows});
    hello.times = {times};
    hello.memory = {"no memory at all"};
    send_report(kSocket, hello);
  }

  // True where this command must not be answered as it should.
  bool goes_wrong(const Job& job, const std::string& where) {
    std::istringstream words(*job.request.prompt);
    std::string word, what, counter;
    int times = 1 << 30;
    while (words >> word) {
      const size_t at = word.find('@');
      if (at != std::string::npos && word.substr(at + 1) == where) what = word.substr(0, at);
      if (word.starts_with("times:")) {
        times = std::stoi(word.substr(6));
        counter = word.substr(word.find(':', 6) + 1);
      }
    }
    if (what.empty()) return false;
    if (!counter.empty()) {
      std::ifstream before(counter, std::ios::ate);
      if (before && before.tellg() >= times) return false;
      std::ofstream(counter, std::ios::app) << 'x';
    }
    return does(what);
  }

  bool does(const std::string& what) {
    if (what == "die") raise(SIGKILL);
    if (what == "stop") raise(SIGSTOP);
    if (what == "leave") _exit(0);
    if (what == "slow") wait(300);
    if (what == "unusable") send_report(kSocket, Unusable{"the device is lost"});
    if (what == "garbage" && send(kSocket, "{\"nonsense\":", 12, 0) < 0) _exit(1);
    if (what == "wrong") send_report(kSocket, Hello{});
    if (what == "rowless") send_report(kSocket, Started{jobs_.rbegin()->first, 0, 0, 1, {}, {}, {}, {}});
    if (tells_lie(what)) return true;
    return what == "nan" || what == "unusable" || what == "garbage" || what == "wrong" || what == "rowless";
  }

  // Of what it was not asked, or cannot be.
  bool tells_lie(const std::string& what) {
    const JobId job = jobs_.empty() ? 0 : jobs_.rbegin()->first;
    if (what == "callless")
      send_report(kSocket, Started{job, 0, 1, 0, {}, {}, {}, {}});
    else if (what == "stranger")
      send_report(kSocket, Started{job + 1000, 0, 1, 1, {}, {}, {}, {}});
    else if (what == "early")
      send_report(kSocket, Finished{job, 0.1, Image{1, 1, {1, 2, 3}}, {}, {}});
    else if (what == "failed")
      send_report(kSocket, Failed{{job, "nan_output", "in a step"}, {}});
    else if (what == "unasked")
      send_report(kSocket, Stepped{0.1, {}, {{job, 1, Image{1, 1, {1, 2, 3}}}}, {}, {}});
    else if (what == "large")
      send_report(kSocket, Finished{job, 0.1, Image{256, 256, std::vector<uint8_t>(3 * 256 * 256)}, {}, {}});
    else
      return false;
    return true;
  }

  bool is_nan(const Job& job, const std::string& where) const {
    return job.request.prompt->find("nan@" + where) != std::string::npos;
  }

  void obey(const StartCommand& command) {
    wait(flags_["encode_ms"]);
    bring(command.variant);
    Job& job = jobs_[command.job] = {command.request, noise_of(command.request, command.variant), command.variant};
    if (goes_wrong(job, "encode")) {
      if (is_nan(job, "encode"))
        send_report(kSocket, Failed{{command.job, "nan_output", "the text is not a number"}, {}});
      return;
    }
    send_report(kSocket, Started{command.job,
                                 flags_["encode_ms"] / 1000,
                                 resolved(command.request).cfg_copies(),
                                 resolved(command.request).evaluations(),
                                 {"it is simulated"},
                                 {},
                                 {},
                                 {},
                                 loaded_});
  }

  void obey(const StepCommand& command) {
    if (flags_["fits"] > 0 && static_cast<double>(command.jobs.size()) > flags_["fits"])
      return send_report(kSocket, DidNotFit{});
    double ms = flags_["step_ms"];
    Stepped stepped;
    bool answers = true;
    bring(jobs_.at(command.jobs.at(0)).variant);
    stepped.loaded = loaded_;
    for (const JobId id : command.jobs) {
      Job& job = jobs_.at(id);
      ms += flags_["row_ms"] * (*job.request.guidance_scale > 1 ? 2 : 1);
      const std::string where = "step:" + std::to_string(job.call + 1);
      if (!goes_wrong(job, where)) continue;
      if (is_nan(job, where))
        stepped.faults.push_back({id, "nan_output", "the image is not a number"});
      else
        answers = false;
    }
    wait(ms);
    for (const JobId id : command.jobs) {
      Job& job = jobs_.at(id);
      job.state = mixed(job.state, static_cast<uint64_t>(job.call++));
    }
    for (const JobFault& fault : stepped.faults) jobs_.erase(fault.job);
    for (const JobId id : command.previews)
      if (jobs_.contains(id)) stepped.previews.push_back({id, jobs_.at(id).call, Image{1, 1, {1, 2, 3}}});
    stepped.seconds = ms / 1000;
    if (answers) send_report(kSocket, stepped);
  }

  void obey(const FinishCommand& command) {
    wait(flags_["decode_ms"]);
    const Job job = jobs_.at(command.job);
    bring(job.variant);
    jobs_.erase(command.job);
    if (goes_wrong(job, "decode")) {
      if (is_nan(job, "decode"))
        send_report(kSocket, Failed{{command.job, "nan_output", "the pixels are not numbers"}, {}});
      return;
    }
    send_report(kSocket,
                Finished{command.job, flags_["decode_ms"] / 1000, pixels_of(job.request, job.state), {}, loaded_});
  }

  // With the flag keeps=N it has room for so many variants, and bringing one in takes load_ms.
  void bring(const Variant& variant) {
    loaded_.reset();
    if (std::erase(kept_, variant.key) == 0) {
      wait(flags_["load_ms"]);
      if (flags_["keeps"] > 0 && static_cast<double>(kept_.size()) >= flags_["keeps"]) kept_.erase(kept_.begin());
      loaded_ = LoadedVariants{flags_["load_ms"] / 1000, kept_};
      loaded_->keys.push_back(variant.key);
    }
    kept_.push_back(variant.key);
  }

  void obey(const DescribeCommand& command) {
    wait(flags_["describe_ms"]);
    const std::string& path = command.model.path;
    if (path.find("deadly") != std::string::npos) raise(SIGKILL);
    Described described;
    if (path.find("broken") != std::string::npos)
      described.fault = path + ": it is broken";
    else
      described = {simulated_card(), {{64, 64, {{1, 0.001}}, 0.001, 0.001, true}}, ""};
    send_report(kSocket, described);
  }

  void obey(const DropCommand& command) {
    for (const JobId id : command.jobs) jobs_.erase(id);
  }

  std::map<std::string, double> flags_;
  std::map<JobId, Job> jobs_;
  std::vector<std::string> kept_;  // variants, the one that was used last at the end
  std::optional<LoadedVariants> loaded_;
};

}  // namespace
}  // namespace inkstone::serve

int main(int count, char** values) {
  std::map<std::string, double> flags;
  for (int i = 1; i < count; i++) {
    const std::string flag = values[i];
    if (const std::string file = flag.substr(flag.find(':') + 1); flag.starts_with("never_if:")) {
      flags["broken"] = access(file.c_str(), F_OK) == 0;
      continue;
    } else if (flag.starts_with("another_if:")) {
      flags["another"] = access(file.c_str(), F_OK) == 0;
      continue;
    }
    flags[flag.substr(0, flag.find('='))] = std::stod(flag.substr(flag.find('=') + 1));
  }
  try {
    return inkstone::serve::SimulatedWorker(flags).run();
  } catch (const std::exception& error) {
    return 1;  // the gateway has left
  }
}
