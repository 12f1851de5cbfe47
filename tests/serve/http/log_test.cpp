// A line an event, whatever its values say, and whatever has become of standard error.
#include "serve/log.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <string>

namespace inkstone {
namespace {

using testing::HasSubstr;

// Standard error is a pipe while this lives.
class Captured {
 public:
  Captured() : before_(dup(STDERR_FILENO)) {
    if (pipe(ends_) != 0) ADD_FAILURE() << "no pipe";
    fcntl(ends_[0], F_SETFL, O_NONBLOCK);
    dup2(ends_[1], STDERR_FILENO);
    close(ends_[1]);
  }
  ~Captured() {
    dup2(before_, STDERR_FILENO);
    close(before_);
    if (ends_[0] >= 0) close(ends_[0]);
    set_log(false, LogLevel::kInfo);
  }
  std::string text() {
    std::string all(1 << 20, '\0');
    const ssize_t size = read(ends_[0], all.data(), all.size());
    all.resize(size > 0 ? static_cast<size_t>(size) : 0);
    return all;
  }
  void close_reader() { close(std::exchange(ends_[0], -1)); }

 private:
  int before_, ends_[2] = {-1, -1};
};

TEST(Log, a_line_is_one_line) {
  for (const bool json : {false, true}) {
    Captured errors;
    set_log(json, LogLevel::kInfo);
    log_line(LogLevel::kDebug, "unseen");
    log_line(LogLevel::kWarning, "worker",
             {{"reason", "a\nb\x1b[31m \xc2\x9b"}, {"job", 7}, {"name", "plain"}, {"empty", ""}});
    const std::string text = errors.text();
    EXPECT_EQ(std::ranges::count(text, '\n'), 1) << text;
    EXPECT_THAT(text, testing::Not(HasSubstr("\x1b")));
    EXPECT_THAT(text, testing::Not(HasSubstr("\xc2\x9b")));
    EXPECT_THAT(
        text,
        HasSubstr(json ? R"("level":"warning","event":"worker","reason":"a?b?[31m ?","job":7,"name":"plain","empty":"")"
                       : R"( warning worker reason="a?b?[31m ?" job=7 name=plain empty="")"));
  }
}

TEST(Log, lines_are_bounded) {
  for (const bool json : {false, true}) {
    Captured errors;
    set_log(json, LogLevel::kInfo);
    const Json large(std::string(100'000, '"'));
    log_line(LogLevel::kInfo, "a", {{"a", large}, {"b", large}, {"c", large}, {"d", large}});
    EXPECT_LE(errors.text().size(), 4096u);
  }
}

TEST(Log, a_full_or_closed_pipe_loses_lines_and_nothing_else) {
  Captured errors;
  for (int i = 0; i < 10'000; ++i)
    log_line(LogLevel::kInfo, std::string(1000, 'x'));  // more than a pipe holds; nobody reads
  EXPECT_GT(errors.text().size(), 4096u);
  log_line(LogLevel::kInfo, "again");
  EXPECT_THAT(errors.text(), HasSubstr("again"));
  errors.close_reader();
  for (int i = 0; i < 10; ++i) log_line(LogLevel::kInfo, "nobody hears");
}

TEST(Log, a_full_disk_loses_lines_and_nothing_else) {
  Captured errors;
  const int full = open("/dev/full", O_WRONLY);
  dup2(full, STDERR_FILENO);
  close(full);
  log_line(LogLevel::kInfo, "nobody hears");
}

}  // namespace
}  // namespace inkstone
