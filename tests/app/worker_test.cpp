// The worker as a process: started on a socket, it draws; it stays when a terminal or an init
// system tells all to stop; and it never outlives who started it.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app/program.h"
#include "diffusion/generate.h"
#include "serve/wire/packet.h"
#include "serve/wire/wire.h"

namespace inkstone {
namespace {

using namespace serve;
using testing::HasSubstr;

struct Pair {
  Descriptor gateway, worker;
  Pair() {
    int both[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, both), 0);
    gateway = Descriptor(both[0]);
    worker = Descriptor(both[1]);
    const timeval patience{60, 0};
    setsockopt(gateway.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  }
};

[[noreturn]] void become_worker(int socket) {
  const std::string program = program_path().string();
  if (socket == 3 ? fcntl(3, F_SETFD, 0) < 0 : dup2(socket, 3) < 0) _exit(126);
  setenv("INKSTONE_TEST_NAN", "spoil", 1);
  execl(program.c_str(), program.c_str(), "worker", "--precision", "fp32", "--jobs", "2", "--max-side", "128",
        "--max-pixels", "16384", nullptr);
  _exit(127);
}

ImageRequest small_request(const std::string& prompt) {
  ImageRequest request;
  request.prompt = prompt;
  request.steps = 2;
  request.width = request.height = 64;
  return request;
}

TEST(WorkerProcess, draws_what_the_engine_draws_and_is_deaf_to_signals_that_stop_a_gateway) {
  if (program_path().empty()) GTEST_SKIP() << "the program is not built";
  Pair pair;
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) become_worker(pair.worker.get());
  pair.worker = Descriptor();
  const int socket = pair.gateway.get();
  const Hello hello = std::get<Hello>(receive_report(socket).value());
  EXPECT_EQ(hello.max_jobs, 2);
  EXPECT_EQ(hello.model.hash.size(), 64u);
  for (const int number : {SIGTERM, SIGINT, SIGHUP}) kill(child, number);

  const auto ask = [&](const WorkerCommand& command) {
    send_command(socket, command);
    return receive_report(socket).value();
  };
  const int calls = std::get<Started>(ask(StartCommand{1, small_request("a fox")})).calls;
  ask(StartCommand{2, small_request("a goat")});
  EXPECT_TRUE(std::get<Stepped>(ask(StepCommand{{1, 2}, {}})).faults.empty());
  for (int call = 1; call < calls; ++call) EXPECT_TRUE(std::get<Stepped>(ask(StepCommand{{1}, {}})).faults.empty());
  EngineOptions options;
  options.precision = Precision::kFp32;
  Engine engine(Pipeline::open(demo_model()), options);
  EXPECT_EQ(std::get<Finished>(ask(FinishCommand{1})).image.rgb,
            generate(engine, engine.resolve(small_request("a fox"))).image.rgb);
  pair.gateway = Descriptor();
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
}

// The process in the middle stands for the gateway; the socket's other end stays open here, so that
// only its death can tell.
TEST(WorkerProcess, dies_with_the_gateway) {
  if (program_path().empty()) GTEST_SKIP() << "the program is not built";
  Pair pair;
  const pid_t gateway = fork();
  ASSERT_GE(gateway, 0);
  if (gateway == 0) {
    if (fork() == 0) become_worker(pair.worker.get());
    pause();
    _exit(0);
  }
  pair.worker = Descriptor();
  ASSERT_TRUE(receive_report(pair.gateway.get()));  // Hello
  kill(gateway, SIGKILL);
  waitpid(gateway, nullptr, 0);
  bool closed = false;
  EXPECT_FALSE(receive_report(pair.gateway.get(), &closed));
  EXPECT_TRUE(closed);
}

TEST(WorkerProcess, by_hand_says_what_it_is) {
  if (program_path().empty()) GTEST_SKIP() << "the program is not built";
  ProgramRun run;
  const Outcome outcome = run.run({"worker"});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.error, HasSubstr("inkstone serve"));
}

}  // namespace
}  // namespace inkstone
