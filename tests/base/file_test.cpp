// Files come whole or not at all, and a failure says which file and why.
#include "base/file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <functional>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/full_disk.h"
#include "support/scratch_folder.h"

namespace inkstone {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class File : public testing::Test {
 protected:
  static std::string error_of(const std::function<void()>& action) {
    try {
      action();
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  }
  static std::span<const std::byte> bytes_of(const std::string& text) { return std::as_bytes(std::span(text)); }
  static size_t files_in(const fs::path& folder) {
    return static_cast<size_t>(std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
  }

  const ScratchFolder scratch_;
  const fs::path folder_ = scratch_.path();
};

TEST_F(File, what_was_written_is_read) {
  for (const size_t size : {0, 1, 4095, 4096, 4097, 1000000}) {
    const std::string text(size, 'x');
    write_file(folder_ / "a", bytes_of(text));
    EXPECT_EQ(read_file(folder_ / "a", size), text);
    EXPECT_EQ(MappedFile(folder_ / "a").bytes().size(), size);
  }
  EXPECT_EQ(files_in(folder_), 1u);
  EXPECT_EQ(unfinished_file(), nullptr);
}

TEST_F(File, a_file_of_unknown_size_is_read_whole) {
  EXPECT_THAT(read_file("/proc/self/status", 1 << 20), HasSubstr("VmRSS"));
}

TEST_F(File, reading_refuses_with_the_path) {
  write_file(folder_ / "ten", bytes_of("0123456789"));
  ASSERT_EQ(::mkfifo((folder_ / "pipe").c_str(), 0600), 0);
  const std::pair<std::string, std::string> rows[] = {
      {"absent", "No such file"}, {".", "a folder"}, {"pipe", "not a regular file"}};
  for (const auto& [name, why] : rows) {
    const fs::path path = folder_ / name;
    EXPECT_THAT(error_of([&] { read_file(path, 100); }), testing::AllOf(HasSubstr(why), HasSubstr(path.string())));
    EXPECT_THAT(error_of([&] { MappedFile mapped(path); }), HasSubstr(why));
  }
  EXPECT_THAT(error_of([&] { read_file(folder_ / "ten", 9); }), HasSubstr("has 10 bytes or more, at most 9"));
  EXPECT_THAT(error_of([&] { read_file("/proc/self/status", 9); }), HasSubstr("at most 9"));
}

TEST_F(File, mapped_pages_can_be_given_back_and_read_again) {
  const size_t page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  std::string text(8 * page + 10, 'a');
  text[3 * page] = 'b';
  write_file(folder_ / "a", bytes_of(text));
  MappedFile first(folder_ / "a");
  MappedFile file = std::move(first);
  EXPECT_EQ(first.bytes().size(), 0u);
  for (const auto& [begin, length] :
       {std::pair<size_t, size_t>{0, text.size()}, {1, 3 * page}, {5 * page, SIZE_MAX}, {SIZE_MAX, 1}, {7, 0}}) {
    file.release(begin, length);
    EXPECT_EQ(std::string_view(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()), text);
  }
  EXPECT_NO_THROW(MappedFile().release(0, 100));
}

TEST_F(File, released_pages_are_not_resident_for_this_process) {
  const auto resident_pages = [] {
    std::ifstream statm("/proc/self/statm");
    size_t total = 0, resident = 0;
    statm >> total >> resident;
    return resident;
  };
  const size_t page = static_cast<size_t>(::sysconf(_SC_PAGESIZE)), pages = 4096;
  write_file(folder_ / "a", bytes_of(std::string(pages * page, 'a')));
  const MappedFile file(folder_ / "a");
  unsigned sum = 0;
  for (size_t i = 0; i < file.bytes().size(); i += page) sum += static_cast<unsigned>(file.bytes()[i]);
  EXPECT_EQ(sum, pages * 'a');
  const size_t before = resident_pages();
  file.release(0, file.bytes().size());
  EXPECT_LT(resident_pages() + pages / 2, before);
}

TEST_F(File, writing_refuses_with_path_and_reason) {
  fs::create_directory(folder_ / "sub");
  ASSERT_EQ(::mkfifo((folder_ / "pipe").c_str(), 0600), 0);
  const std::pair<std::string, std::string> rows[] = {
      {"absent/a", "there is no folder"}, {"sub", "a folder"}, {"sub/", "a folder"}, {"pipe", "not a regular file"}};
  for (const auto& [name, why] : rows) {
    const fs::path path = folder_ / name;
    EXPECT_THAT(error_of([&] { write_file(path, bytes_of("x")); }),
                testing::AllOf(HasSubstr("cannot write " + path.string()), HasSubstr(why)));
  }
  EXPECT_THAT(error_of([&] { write_file("/dev/full", bytes_of("x")); }), HasSubstr("not a regular file"));
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const fs::path written = "/proc/self/fd/" + std::to_string(ends[1]);
  EXPECT_THAT(error_of([&] { write_file(written, bytes_of("x")); }),
              HasSubstr("cannot write " + written.string() + ": it is not a regular file"));
  for (const int end : ends) ::close(end);
  EXPECT_THAT(error_of([&] { write_file("/proc/inkstone", bytes_of("x")); }),
              HasSubstr("cannot write /proc/inkstone: "));
  EXPECT_EQ(files_in(folder_), 2u);
  EXPECT_EQ(unfinished_file(), nullptr);
}

TEST_F(File, a_link_stays_and_its_file_is_replaced) {
  write_file(folder_ / "real", bytes_of("old"));
  fs::create_symlink("real", folder_ / "link");
  write_file(folder_ / "link", bytes_of("new"));
  EXPECT_TRUE(fs::is_symlink(folder_ / "link"));
  EXPECT_EQ(read_file(folder_ / "real", 10), "new");
}

TEST_F(File, a_link_to_nothing_is_written_through) {
  fs::create_directory(folder_ / "in");
  fs::create_symlink("in/second", folder_ / "first");
  fs::create_symlink("../real", folder_ / "in/second");
  EXPECT_THAT(error_of([&] { read_file(folder_ / "first", 10); }),
              HasSubstr("it is a link to in/second, which is not"));
  EXPECT_TRUE(is_listed(folder_ / "first"));
  EXPECT_FALSE(is_listed(folder_ / "real"));
  write_file(folder_ / "first", bytes_of("new"));
  EXPECT_TRUE(fs::is_symlink(folder_ / "first"));
  EXPECT_TRUE(fs::is_symlink(folder_ / "in/second"));
  EXPECT_EQ(read_file(folder_ / "real", 10), "new");
  fs::create_symlink((folder_ / "absent/a").string(), folder_ / "nowhere");
  EXPECT_THAT(error_of([&] { write_file(folder_ / "nowhere", bytes_of("x")); }), HasSubstr("there is no folder"));
}

TEST_F(File, links_that_lead_in_a_circle_are_refused) {
  fs::create_symlink("b", folder_ / "a");
  fs::create_symlink("a", folder_ / "b");
  EXPECT_THAT(error_of([&] { write_file(folder_ / "a", bytes_of("x")); }), HasSubstr("leads to no file"));
  EXPECT_THAT(error_of([&] { read_file(folder_ / "a", 10); }), HasSubstr("cannot read"));
}

TEST_F(File, what_a_killed_process_left_is_passed_over) {
  const std::string left = "a.tmp" + std::to_string(::getpid()) + "-";
  for (int i = 0; i < 2000; ++i) std::ofstream(folder_ / (left + std::to_string(i))) << "left";
  write_file(folder_ / "a", bytes_of("new"));
  EXPECT_EQ(read_file(folder_ / "a", 10), "new");
  EXPECT_EQ(files_in(folder_), 2001u);
  EXPECT_EQ(read_file(folder_ / (left + "1999"), 10), "left");
}

TEST_F(File, that_is_replaced_keeps_its_mode) {
  const mode_t had = ::umask(022);
  const auto mode = [&] { return static_cast<int>(fs::status(folder_ / "a").permissions()); };
  write_file(folder_ / "a", bytes_of("1"));
  EXPECT_EQ(mode(), 0644);
  for (const int wanted : {0600, 0666, 0640, 0400}) {
    fs::permissions(folder_ / "a", static_cast<fs::perms>(wanted));
    write_file(folder_ / "a", bytes_of("2"));
    EXPECT_EQ(mode(), wanted);
  }
  ::umask(had);
}

TEST_F(File, a_write_that_stops_in_the_middle_leaves_the_old_file_and_nothing_else) {
  write_file(folder_ / "a", bytes_of("old"));
  const std::string error =
      on_a_full_disk([&] { return error_of([&] { write_file(folder_ / "a", bytes_of(std::string(100000, 'x'))); }); });
  EXPECT_THAT(error, HasSubstr("100000"));
  EXPECT_EQ(read_file(folder_ / "a", 10), "old");
  EXPECT_EQ(files_in(folder_), 1u);
}

TEST_F(File, a_full_disk_is_named_and_leaves_the_old_file) {
  const fs::path disk = folder_ / "disk";
  fs::create_directory(disk);
  if (::mount("none", disk.c_str(), "tmpfs", 0, "size=65536") != 0)
    GTEST_SKIP() << "needs the right to mount a small disk";
  write_file(disk / "a", bytes_of("old"));
  const std::string error = error_of([&] { write_file(disk / "a", bytes_of(std::string(100000, 'x'))); });
  EXPECT_THAT(error, HasSubstr("cannot write " + (disk / "a").string() + ": the disk is full (100000 bytes"));
  EXPECT_EQ(read_file(disk / "a", 10), "old");
  EXPECT_EQ(files_in(disk), 1u);
  ::umount(disk.c_str());
}

TEST_F(File, threads_may_write_at_once) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i)
    threads.emplace_back([this, i] {
      for (int k = 0; k < 10; ++k)
        write_file(folder_ / std::to_string(i % 4), bytes_of(std::string(1000, static_cast<char>('a' + i % 4))));
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(files_in(folder_), 4u);
  for (int i = 0; i < 4; ++i)
    EXPECT_EQ(read_file(folder_ / std::to_string(i), 2000), std::string(1000, static_cast<char>('a' + i)));
}

}  // namespace
}  // namespace inkstone
