#include "base/terminal.h"

#include <catch2/catch.hpp>

using namespace isochrone;

TEST_CASE("colour needs a terminal that can show it and a person who allows it", "[terminal]") {
  CHECK(TerminalFrom(true, 100, {nullptr, "xterm", nullptr}).colour);
  CHECK(TerminalFrom(true, 100, {"", "xterm", nullptr}).colour);  // no-color.org: an empty NO_COLOR does not count
  CHECK_FALSE(TerminalFrom(true, 100, {"1", "xterm", nullptr}).colour);
  CHECK_FALSE(TerminalFrom(true, 100, {nullptr, "dumb", nullptr}).colour);
  CHECK_FALSE(TerminalFrom(true, 100, {nullptr, nullptr, nullptr}).colour);
  CHECK_FALSE(TerminalFrom(false, 100, {nullptr, "xterm", nullptr}).colour);
}

TEST_CASE("the terminal's own width counts first, then COLUMNS, then 80; a pipe has none", "[terminal]") {
  CHECK(TerminalFrom(true, 132, {nullptr, "xterm", "60"}).width == 132);
  CHECK(TerminalFrom(true, 0, {nullptr, "xterm", "60"}).width == 60);
  CHECK(TerminalFrom(true, 0, {nullptr, "xterm", "-4"}).width == 80);
  CHECK(TerminalFrom(true, 0, {nullptr, "xterm", "wide"}).width == 80);
  CHECK(TerminalFrom(false, 0, {nullptr, "xterm", "60"}).width == 0);
}

TEST_CASE("paint adds nothing where there is no colour", "[terminal]") {
  CHECK(Terminal{true, true, 80}.Paint(Colour::kRed, "slow") == "\x1b[31mslow\x1b[0m");
  CHECK(Terminal{true, false, 80}.Paint(Colour::kRed, "slow") == "slow");
}
