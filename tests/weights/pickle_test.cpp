// A pickle becomes values that say what Python would do, and never more of them than are allowed.
#include "weights/pickle.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "base/error.h"
#include "weights/built_torch_file.h"

namespace inkstone {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using Kind = PickleValue::Kind;

// Values point into the text.
struct Read {
  explicit Read(std::string pickled)
      : text(std::move(pickled)), pickle(read_pickle(std::as_bytes(std::span(text)), "a.ckpt")) {}
  const PickleValue& root() const { return pickle[pickle.root]; }
  const PickleValue& item(size_t index) const { return pickle[root().items[index]]; }

  std::string text;
  Pickle pickle;
};

std::string error_of(const std::string& pickled) {
  try {
    Read read(pickled);
  } catch (const Error& error) {
    return error.what();
  }
  return "accepted";
}

TEST(Pickle, numbers_are_read_as_python_writes_them) {
  const std::pair<std::string, int64_t> rows[] = {
      {"K\xff", 255},
      {std::string("M\x00\x80", 3), 32768},
      {"J\xff\xff\xff\xff", -1},
      {std::string("J\x00\x00\x00\x80", 5), INT32_MIN},
      {std::string("\x8a\x00", 2), 0},
      {"\x8a\x01\xff", -1},
      {std::string("\x8a\x02\xff\x00", 4), 255},
      {"\x8a\x08" + std::string(7, '\0') + "\x80", INT64_MIN},
      {"\x88", 1},
      {"\x89", 0},
  };
  for (const auto& [pickled, want] : rows) {
    const Read read("\x80\x02" + pickled + ".");
    EXPECT_EQ(read.root().kind, Kind::kInteger);
    EXPECT_EQ(read.root().integer, want);
  }
  EXPECT_EQ(Read("\x8a\x09" + std::string(9, '\1') + ".").root().kind, Kind::kOther);
  EXPECT_EQ(Read("G" + std::string(8, '\0') + ".").root().kind, Kind::kOther);
  EXPECT_EQ(Read("N.").root().kind, Kind::kNone);
}

TEST(Pickle, texts_and_containers_are_read_as_python_writes_them) {
  for (const std::string& text : {"X\x03" + std::string(3, '\0') + "abc",
                                  std::string("U\x03"
                                              "abc"),
                                  std::string("\x8c\x03"
                                              "abc")})
    EXPECT_EQ(Read(text + ".").root().text, "abc");
  EXPECT_EQ(Read("C\x03"
                 "abc.")
                .root()
                .kind,
            Kind::kOther);
  EXPECT_EQ(Read("B\x03" + std::string(3, '\0') + "abc.").root().kind, Kind::kOther);
  const Read tuple("(K\x01K\x02K\x03t.");
  EXPECT_EQ(tuple.root().kind, Kind::kTuple);
  ASSERT_EQ(tuple.root().items.size(), 3u);
  EXPECT_EQ(tuple.item(2).integer, 3);
  EXPECT_EQ(Read("K\x01K\x02K\x03\x87.").item(0).integer, 1);
  EXPECT_EQ(Read("K\x01K\x02\x86.").item(1).integer, 2);
  EXPECT_EQ(Read(").").root().items.size(), 0u);
  const Read list(
      "](K\x01K\x02"
      "eK\x03"
      "a.");
  EXPECT_EQ(list.root().kind, Kind::kList);
  ASSERT_EQ(list.root().items.size(), 3u);
  EXPECT_EQ(list.item(2).integer, 3);
  const Read dict("}(K\x01K\x02uK\x03K\x04s.");
  EXPECT_EQ(dict.root().kind, Kind::kDict);
  ASSERT_EQ(dict.root().items.size(), 4u);
  EXPECT_EQ(dict.item(3).integer, 4);
}

TEST(Pickle, what_python_would_call_is_a_value) {
  for (const std::string& name : {std::string("cposix\nsystem\n"), std::string("\x8c\x05posix\x8c\x06system\x93")})
    for (const char* how : {"R", "\x81"}) {
      const Read read(name + pickled_text("rm -r /") + "\x85" + how + "}b.");
      EXPECT_EQ(read.root().kind, Kind::kObject);
      EXPECT_EQ(read.pickle[read.root().callable].module, "posix");
      EXPECT_EQ(read.pickle[read.root().callable].text, "system");
      EXPECT_EQ(read.pickle[read.pickle[read.root().argument].items[0]].text, "rm -r /");
    }
  const Read persistent(pickled_text("storage") + "\x85Q.");
  EXPECT_EQ(persistent.root().kind, Kind::kPersistent);
  EXPECT_EQ(persistent.pickle[persistent.root().argument].items.size(), 1u);
}

TEST(Pickle, values_are_remembered_and_may_hold_themselves) {
  const Read twice("(K\x07q\x05h\x05j\x05" + std::string(3, '\0') + "t.");
  ASSERT_EQ(twice.root().items.size(), 3u);
  EXPECT_EQ(twice.root().items[0], twice.root().items[2]);
  const Read circle("]\x94h" + std::string(1, '\0') + "a.");
  EXPECT_EQ(circle.root().items[0], circle.pickle.root);
}

TEST(Pickle, what_pytorch_does_not_write_is_refused) {
  const std::pair<std::string, std::string> rows[] = {
      {"", "at byte 0: it ends inside a value"},
      {".", "a value too few"},
      {"K\x01", "at byte 2: it ends inside a value"},
      {"K", "it ends inside a value"},
      {"X\xff\xff\xff\xff"
       "a.",
       "it ends inside a value"},
      {"\x8a\x05"
       "a.",
       "it ends inside a value"},
      {"cposix.", "a name has no end"},
      {"cposix\nsystem.", "a name has no end"},
      {"K\x01K\x02\x93.", "a name that is no text"},
      {"\x80\x06.", "protocol"},
      {"\x95\xff\xff\xff\xff\xff\xff\xff\xff.", "a frame runs past its end"},
      {"t.", "there is no mark"},
      {"K\x01(\x85.", "a value too few"},
      {"K\x01(R.", "a value too few"},
      {"K\x01(.", "a value too few"},
      {"(q" + std::string(1, '\0') + ".", "a value too few"},
      {"K\x01K\x02K\x03s.", "what it fills is no container"},
      {"]K\x02K\x03s.", "what it fills is no container"},
      {"}K\x02"
       "a.",
       "what it fills is no container"},
      {"}(K\x01u.", "a key without a value"},
      {"h\x01.", "it recalls a value that it has not remembered"},
      {"K\x01q\x02h\x01.", "it recalls a value that it has not remembered"},
      {"K\x01j\xff\xff\xff\xff.", "it recalls a value that it has not remembered"},
      {"i__builtin__\neval\n.", "the instruction 105 at byte 0"},
      {"K\x01"
       "0.",
       "the instruction 48 at byte 2"},
      {"\xff.", "the instruction 255"},
  };
  for (const auto& [pickled, want] : rows)
    EXPECT_THAT(error_of(pickled),
                AllOf(HasSubstr("a.ckpt"), HasSubstr(want), HasSubstr("convert the file to safetensors")))
        << pickled;
}

TEST(Pickle, neither_depth_nor_numbers_cost_memory) {
  std::string deep = ")";
  for (int i = 0; i < 900'000; ++i) deep += "\x85";
  EXPECT_EQ(error_of(deep + "."), "accepted");
  EXPECT_THAT(error_of(std::string(1'000'001, ')') + "."), HasSubstr("more than a million values"));
  EXPECT_THAT(error_of(std::string(1'000'001, '(') + "."), HasSubstr("more than a million marks"));
  std::string recalled = "Nq\x01";
  for (int i = 0; i < 1'000'001; ++i) recalled += "h\x01";
  EXPECT_THAT(error_of(recalled + "."), HasSubstr("more than a million values on its stack"));
  EXPECT_THAT(error_of("Nr\xff\xff\xff\xff."), HasSubstr("more than a million remembered values"));
  EXPECT_THAT(error_of(std::string((size_t{16} << 20) + 1, 'N')), HasSubstr("more than 16 MiB"));
}

// Each level holds the one before twice: 2^60 values for who follows all of them.
TEST(Pickle, values_that_stand_often_are_there_once) {
  std::string bomb = ")";
  for (int i = 0; i < 60; ++i) bomb += "q\x01h\x01\x86";
  const Read read(bomb + ".");
  EXPECT_EQ(read.pickle.values.size(), 61u);
}

}  // namespace
}  // namespace inkstone
