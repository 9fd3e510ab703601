#include "base/text.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

using namespace isochrone;
using Lines = std::vector<std::string>;

TEST_CASE("decimals are fixed, thousands have commas and zero has no sign", "[text]") {
  CHECK(Fixed(12.345, 1) == "12.3");
  CHECK(Fixed(-1234567.891, 2) == "-1,234,567.89");
  CHECK(Fixed(999, 0) == "999");
  CHECK(Fixed(-0.001, 2) == "0.00");
  CHECK(Fixed(std::nan(""), 2) == "-");
  CHECK(Fixed(-std::numeric_limits<double>::infinity(), 2) == "-∞");
  CHECK(Fixed(std::numeric_limits<double>::max(), 0).size() == 309 + 102);
  CHECK(Grouped(0) == "0");
  CHECK(Grouped(1536) == "1,536");
  CHECK(Grouped(-123456) == "-123,456");
  CHECK(Grouped(std::numeric_limits<std::int64_t>::min()) == "-9,223,372,036,854,775,808");
}

TEST_CASE("three digits count, and rounding carries over", "[text]") {
  CHECK(ThreeDigits(0) == "0");
  CHECK(ThreeDigits(0.05117) == "0.0512");
  CHECK(ThreeDigits(1) == "1.00");
  CHECK(ThreeDigits(1.499) == "1.50");
  CHECK(ThreeDigits(9.996) == "10.0");
  CHECK(ThreeDigits(79.24) == "79.2");
  CHECK(ThreeDigits(99.96) == "100");
  CHECK(ThreeDigits(1536) == "1,536");
  CHECK(ThreeDigits(-0.25) == "-0.250");
}

TEST_CASE("a time picks the unit that a person would", "[text]") {
  CHECK(HumanTime(Seconds(0)) == "0 s");
  CHECK(HumanTime(Seconds(8.5e-7)) == "850 ns");
  CHECK(HumanTime(Seconds(5e-6)) == "5.00 µs");
  CHECK(HumanTime(Seconds(0.01234)) == "12.3 ms");
  CHECK(HumanTime(Seconds(0.9996)) == "1.00 s");
  CHECK(HumanTime(Seconds(18.13)) == "18.1 s");
  CHECK(HumanTime(Seconds(107.1)) == "107 s");
  CHECK(HumanTime(Seconds(125)) == "2 min 05 s");
  CHECK(HumanTime(Seconds(3599.6)) == "1 h 00 min");
  CHECK(HumanTime(Seconds(3 * 3600 + 7 * 60)) == "3 h 07 min");
  CHECK(HumanTime(Seconds(98 * 3600)) == "4 d 02 h");
  CHECK(HumanTime(Seconds(-0.002)) == "-2.00 ms");
  CHECK(HumanTime(Seconds(std::nan(""))) == "-");
}

TEST_CASE("bytes are binary, rates are decimal", "[text]") {
  CHECK(HumanBytes(Bytes(0)) == "0 B");
  CHECK(HumanBytes(Bytes(512)) == "512 B");
  CHECK(HumanBytes(Bytes(1023)) == "1,023 B");
  CHECK(HumanBytes(Bytes(1024)) == "1.00 KiB");
  CHECK(HumanBytes(Bytes(79.24 * kGibi)) == "79.2 GiB");
  CHECK(HumanBytes(Bytes(1010 * kGibi)) == "1,010 GiB");
  CHECK(HumanBytes(Bytes(-3 * kMebi)) == "-3.00 MiB");
  CHECK(HumanScaled(989.4e12, "FLOP/s") == "989 TFLOP/s");
  CHECK(HumanScaled(3.35e12, "B/s") == "3.35 TB/s");
  CHECK(HumanScaled(999.9e9, "B/s") == "1.00 TB/s");
  CHECK(HumanScaled(12, "B") == "12.0 B");
  CHECK(Percent(0.12345) == "12.3%");
  CHECK(Percent(-1, 0) == "-100%");
}

TEST_CASE("an exact number reads back as itself", "[text]") {
  CHECK(Exact(0.1) == "0.1");
  CHECK(Exact(1e300) == "1e+300");
  CHECK(std::stod(Exact(1.0 / 3)) == 1.0 / 3);
}

TEST_CASE("width counts columns, not bytes", "[text]") {
  CHECK(DisplayWidth("µs") == 2);
  CHECK(DisplayWidth("時間") == 4);
  CHECK(DisplayWidth("e\u0301") == 1);
  CHECK(DisplayWidth("\x1b[31mred\x1b[0m") == 3);
  CHECK(DisplayWidth("\xff\xc3") == 2);  // broken UTF-8: a column a byte
  CHECK(PaddedRight("µ", 3) == "µ  ");
  CHECK(PaddedLeft("時", 3) == " 時");
  CHECK(PaddedLeft("long", 3) == "long");
}

TEST_CASE("text wraps at spaces, inside a word only when it must, and keeps line feeds", "[text]") {
  CHECK(Wrapped("one two three", 7) == Lines{"one two", "three"});
  CHECK(Wrapped("one two three", 8) == Lines{"one two", "three"});
  CHECK(Wrapped("abcdefgh ij", 3) == Lines{"abc", "def", "gh", "ij"});
  CHECK(Wrapped("a\n\nb", 5) == Lines{"a", "", "b"});
  CHECK(Wrapped("", 5) == Lines{""});
  CHECK(Wrapped("時間時", 3) == Lines{"時", "間", "時"});
  CHECK(Wrapped("時", 1) == Lines{"時"});
  CHECK(Wrapped("a    b", 2) == Lines{"a", "b"});
}
