// A line an event, whatever its values say, and whatever has become of standard error.
#include "serve/support/log.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <sstream>
#include <string>

namespace inkstone::serve {
namespace {

using testing::HasSubstr;

// Standard error is a pipe while this lives.
class Captured {
 public:
  Captured() : before_(dup(STDERR_FILENO)) { reopen(); }
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
  // Standard error becomes a new, empty pipe, whatever it was.
  void reopen() {
    if (ends_[0] >= 0) close(ends_[0]);
    if (pipe(ends_) != 0) ADD_FAILURE() << "no pipe";
    fcntl(ends_[0], F_SETFL, O_NONBLOCK);
    dup2(ends_[1], STDERR_FILENO);
    close(ends_[1]);
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

TEST(Log, a_field_of_nothing_is_left_out) {
  for (const bool json : {false, true}) {
    Captured errors;
    set_log(json, LogLevel::kInfo);
    log_line(LogLevel::kInfo, "e", {{"trace", given("")}, {"other", given("x")}});
    const std::string text = errors.text();
    EXPECT_THAT(text, testing::Not(HasSubstr("trace")));
    EXPECT_THAT(text, HasSubstr(json ? R"("other":"x")" : "other=x"));
  }
}

// A table for people is one in text, and an event for each line in JSON.
TEST(Log, texts_are_as_they_are_or_events) {
  Captured errors;
  log_text(LogLevel::kInfo, "ready", "model  demo\nqueue  \x1b[31m8\n");
  EXPECT_EQ(errors.text(), "model  demo\nqueue  ?[31m8\n");
  set_log(true, LogLevel::kInfo);
  log_text(LogLevel::kDebug, "ready", "unseen");
  log_text(LogLevel::kInfo, "ready", "model  demo\nqueue");
  const std::string text = errors.text();
  EXPECT_EQ(std::ranges::count(text, '\n'), 2) << text;
  EXPECT_THAT(text, HasSubstr(R"("level":"info","event":"ready","text":"model  demo")"));
}

TEST(Log, what_tools_read_as_a_lines_end_or_a_turn_is_not_written) {
  for (const char* hidden : {"\xe2\x80\xa8", "\xe2\x80\xa9", "\xe2\x80\xaa", "\xe2\x80\xae", "\xe2\x81\xa6",
                             "\xe2\x81\xa9", "\xef\xbb\xbf", "\xc2\x85"}) {
    Captured errors;
    log_line(LogLevel::kInfo, "e", {{"path", "/a" + std::string(hidden) + "b"}});
    EXPECT_THAT(errors.text(), HasSubstr("path=/a?b\n")) << hidden;
  }
  Captured errors;
  log_line(LogLevel::kInfo, "e", {{"path", "\xe2\x80\xa7\xe2\x80\xaf\xe2\x81\xaa\xef\xbb\xbe\xc3\xa9\xe2"}});
  EXPECT_THAT(errors.text(), HasSubstr("\xe2\x80\xa7\xe2\x80\xaf\xe2\x81\xaa\xef\xbb\xbe\xc3\xa9\xe2"));
}

TEST(Log, lines_are_bounded) {
  for (const bool json : {false, true}) {
    Captured errors;
    set_log(json, LogLevel::kInfo);
    const std::string large(std::string(100'000, '"'));
    log_line(LogLevel::kInfo, "a", {{"a", large}, {"b", large}, {"c", large}, {"d", large}});
    EXPECT_LE(errors.text().size(), 4096u);
  }
}

// Whether the text is one whole line of this event: nothing of an earlier line is in it.
void expect_one_line(const std::string& text, const std::string& event) {
  EXPECT_EQ(std::ranges::count(text, '\n'), 1) << text;
  EXPECT_THAT(text, testing::MatchesRegex("[-0-9]+T[:.0-9]+Z info " + event + "\n"));
}

TEST(Log, a_full_pipe_loses_whole_lines) {
  Captured errors;
  const std::string event(1000, 'x');
  for (int i = 0; i < 10'000; ++i) log_line(LogLevel::kInfo, event);  // more than a pipe holds
  std::istringstream lines(errors.text());
  int count = 0;
  for (std::string line; std::getline(lines, line); ++count) ASSERT_TRUE(line.ends_with(" info " + event)) << line;
  EXPECT_GT(count, 4);
  EXPECT_LT(count, 10'000);
  log_line(LogLevel::kInfo, "again");
  expect_one_line(errors.text(), "again");
}

TEST(Log, a_closed_pipe_loses_its_own_lines_alone) {
  Captured errors;
  errors.close_reader();
  for (int i = 0; i < 10; ++i) log_line(LogLevel::kInfo, "lost");
  errors.reopen();
  log_line(LogLevel::kInfo, "next");
  expect_one_line(errors.text(), "next");
}

TEST(Log, a_full_disk_loses_its_own_lines_alone) {
  Captured errors;
  const int full = open("/dev/full", O_WRONLY);
  ASSERT_GE(full, 0);
  dup2(full, STDERR_FILENO);
  close(full);
  log_line(LogLevel::kInfo, "lost");
  errors.reopen();
  log_line(LogLevel::kInfo, "next");
  expect_one_line(errors.text(), "next");
}

}  // namespace
}  // namespace inkstone::serve
