// Programs that are run: where, with what, what they say, and that none stays.
#include "atc/process.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <iterator>

#include "atc/fake_atc.h"
#include "base/error.h"

namespace inkstone {
namespace {

ProcessCommand shell(const std::string& script, const TestFolder& folder) {
  return {"/bin/sh", {"-c", script}, folder.path(), {}, size_t{1} << 20};
}

// What has ended, and was left to a parent that has not asked yet, lives no more.
bool lives(int process) {
  std::ifstream status("/proc/" + std::to_string(process) + "/stat");
  const std::string text(std::istreambuf_iterator<char>(status), {});
  const size_t name_end = text.rfind(')');
  return name_end != text.npos && text.substr(name_end, 3) != ") Z";
}

bool soon(auto condition) {
  for (int i = 0; i < 500; ++i) {
    if (condition()) return true;
    usleep(20'000);
  }
  return false;
}

TEST(Process, runs_in_its_folder_with_its_words_and_both_streams_are_read) {
  const TestFolder folder;
  ProcessCommand command = shell("pwd; echo \"$A $1\"; echo wrong >&2; cat; exit 3", folder);
  command.environment = {"A=b c"};
  command.arguments.insert(command.arguments.end(), {"name", "$HOME 'x'"});
  const ProcessResult result = run_process(command);
  EXPECT_EQ(result.code, 3);
  EXPECT_EQ(result.output, folder.path().string() + "\nb c $HOME 'x'\nwrong\n");
}

TEST(Process, lines_come_as_they_are_written) {
  const TestFolder folder;
  std::vector<std::string> lines;
  ProcessWatch watch;
  watch.line = [&](std::string_view line) { lines.emplace_back(line); };
  run_process(shell("printf 'a\\nb\\033[1m\\r\\n'; printf 'no end'", folder), watch);
  EXPECT_EQ(lines, (std::vector<std::string>{"a", "b [1m", "no end"}));
}

TEST(Process, only_so_much_output_is_kept) {
  const TestFolder folder;
  ProcessCommand command = shell("echo first; head -c 3000000 /dev/zero | tr '\\0' x; echo; echo last", folder);
  command.max_output = 10000;
  const std::string output = run_process(command).output;
  EXPECT_LT(output.size(), 20000u);
  EXPECT_TRUE(output.starts_with("first\n"));
  EXPECT_TRUE(output.ends_with("last\n"));
  EXPECT_NE(output.find("bytes left out"), std::string::npos);
}

TEST(Process, what_cannot_be_started_is_named) {
  const TestFolder folder;
  EXPECT_THROW(run_process({"/no/such/program", {}, folder.path(), {}, 100}), Error);
  EXPECT_THROW(run_process({"/bin/sh", {"-c", "exit 0"}, folder / "none", {}, 100}), Error);
  EXPECT_EQ(run_process(shell("kill -9 $$", folder)).code, 128 + SIGKILL);
}

TEST(Process, its_exit_code_is_known_where_sigchld_is_ignored) {
  const TestFolder folder;
  struct sigaction ignoring = {}, before = {}, after = {};
  ignoring.sa_handler = SIG_IGN;
  sigaction(SIGCHLD, &ignoring, &before);
  EXPECT_EQ(run_process(shell("exit 3", folder)).code, 3);
  EXPECT_EQ(run_process(shell("kill -9 $$", folder)).code, 128 + SIGKILL);
  // Its own children's ends are known to it, too.
  EXPECT_EQ(run_process(shell("(exit 5) & wait $!; exit $?", folder)).code, 5);
  sigaction(SIGCHLD, &before, &after);
  EXPECT_EQ(after.sa_handler, SIG_IGN) << "it is as it was";
}

TEST(Process, is_stopped_with_all_that_it_started) {
  const TestFolder folder;
  ProcessWatch watch;
  watch.tick = [&](double) { return !folder.has("ready"); };
  const ProcessResult result = run_process(
      shell("trap '' TERM; (trap '' TERM; echo $$ >a; sleep 1000) & echo $! >b; touch ready; sleep 1000", folder),
      watch);
  EXPECT_TRUE(result.told_to_stop);
  EXPECT_EQ(result.code, 128 + SIGKILL);
  EXPECT_TRUE(soon([&] { return !lives(std::stoi(folder.read("b"))); }));
}

TEST(Process, who_stays_behind_is_not_waited_for) {
  const TestFolder folder;
  const ProcessResult result = run_process(shell("sleep 1000 & echo $! >b; echo done", folder));
  EXPECT_EQ(result.code, 0);
  EXPECT_EQ(result.output, "done\n");
  EXPECT_TRUE(soon([&] { return !lives(std::stoi(folder.read("b"))); }));
}

TEST(Process, a_callback_that_throws_ends_it) {
  const TestFolder folder;
  ProcessWatch watch;
  watch.line = [](std::string_view) { throw Error("enough"); };
  EXPECT_THROW(run_process(shell("echo $$ >a; echo x; sleep 1000", folder), watch), Error);
  EXPECT_FALSE(lives(std::stoi(folder.read("a"))));
}

// What Ctrl-C and a supervisor's SIGTERM do: both are sent to us alone here.
TEST(Process, signals_end_it_and_then_us) {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    const TestFolder folder;
    const pid_t us = fork();
    if (us == 0) {
      ::signal(signal, SIG_DFL);
      run_process(shell("sleep 1000 & echo $! >b; echo $$ >a; sleep 1000", folder));
      _exit(0);
    }
    ASSERT_TRUE(soon([&] { return !folder.read("a").empty(); }));
    kill(us, signal);
    int status = 0;
    waitpid(us, &status, 0);
    EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == signal) << status;
    for (const char* name : {"a", "b"}) EXPECT_TRUE(soon([&] { return !lives(std::stoi(folder.read(name))); })) << name;
  }
}

}  // namespace
}  // namespace inkstone
