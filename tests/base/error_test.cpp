// An error's text is its parts as a stream would write them.
#include "base/error.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <sstream>

namespace inkstone {
namespace {

template <typename T>
void expect_as_a_stream(const T& value) {
  std::ostringstream stream;
  stream << value;
  EXPECT_EQ(text_of({value}), stream.str());
}

TEST(ErrorPart, words_are_themselves) {
  expect_as_a_stream("words");
  expect_as_a_stream("");
  expect_as_a_stream(std::string_view("a view of words").substr(2, 4));
  expect_as_a_stream(std::string("with a \0 inside", 15));
}

TEST(ErrorPart, a_letter_is_no_number) {
  for (const char letter : {'a', '0', ' ', '\n', '\xff'}) expect_as_a_stream(letter);
}

template <typename T>
void expect_ends_of() {
  for (const T value : {std::numeric_limits<T>::min(), T{0}, T{1}, std::numeric_limits<T>::max()})
    expect_as_a_stream(value);
}

TEST(ErrorPart, whole_numbers_of_every_width) {
  expect_ends_of<short>();
  expect_ends_of<int>();
  expect_ends_of<long>();
  expect_ends_of<long long>();
  expect_ends_of<unsigned short>();
  expect_ends_of<unsigned>();
  expect_ends_of<unsigned long>();
  expect_ends_of<unsigned long long>();
  expect_as_a_stream(-1);
}

// A stream takes these for letters; an error says the number.
TEST(ErrorPart, bytes_are_numbers) { EXPECT_EQ(text_of({uint8_t{200}, " ", int8_t{-7}}), "200 -7"); }

TEST(ErrorPart, real_numbers_have_six_digits) {
  constexpr double kLargest = std::numeric_limits<double>::max(), kSmallest = std::numeric_limits<double>::denorm_min();
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  for (const double value : {0.0, -0.0, 1.0, 0.1, -2.5, 1.0 / 3, 123456.0, 1234567.0, 999999.5, 1e-4, 9.9999e-5, 1e100,
                             kLargest, kSmallest, kInfinity, -kInfinity, std::numeric_limits<double>::quiet_NaN()})
    expect_as_a_stream(value);
  expect_as_a_stream(0.1f);
  expect_as_a_stream(16777216.0f);
}

TEST(ErrorPart, truth_is_one) {
  expect_as_a_stream(true);
  expect_as_a_stream(false);
}

TEST(Error, has_its_parts_in_their_order_and_its_place) {
  try {
    INKSTONE_CHECK_USAGE(1 > 2, "size ", 7, 'x', size_t{8}, " of ", 0.5, std::string(" pixels"));
    FAIL() << "nothing was thrown";
  } catch (const UsageError& error) {
    EXPECT_STREQ(error.what(), "size 7x8 of 0.5 pixels");
    EXPECT_NE(std::string(error.where()).find("error_test.cpp:"), std::string::npos);
  }
  EXPECT_THROW(fail(INKSTONE_HERE, {}), Error);
}

}  // namespace
}  // namespace inkstone
