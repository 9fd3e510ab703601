#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/units.h"

namespace isochrone {

// --- numbers for people: '.' before decimals and ',' between thousands, whatever the locale -----------------------

/// "12.35"; "-" for NaN, "∞" for infinity; a value that rounds to zero has no sign.
std::string Fixed(double value, int decimals);
/// "1,536"
std::string Grouped(std::int64_t value);
/// Three digits that count: "0.0512", "1.50", "79.2", "312", "1,536".
std::string ThreeDigits(double value);
/// Three digits and a unit: "850 ns", "12.3 ms", "18.1 s", and from two minutes on "2 min 05 s", "3 h 07 min", "4 d 02
/// h".
std::string HumanTime(Seconds time);
/// Three digits and a binary unit: "512 B", "79.2 GiB".
std::string HumanBytes(Bytes size);
/// Three digits and a decimal prefix: "989 TFLOP/s", "3.35 TB/s" for units "FLOP/s", "B/s".
std::string HumanScaled(double value, std::string_view unit);
/// "12.3%" of 0.1234
std::string Percent(double ratio, int decimals = 1);
/// The shortest text that reads back as the same number: for CSV and other programs.
std::string Exact(double value);

// --- text in columns of a terminal ----------------------------------------------------------------------------------

/// Columns that UTF-8 text takes on a terminal: wide (East Asian, emoji) two, combining none, colour codes none.
int DisplayWidth(std::string_view text);
/// `text` with spaces up to `width` columns, after it or before it.
std::string PaddedRight(std::string_view text, int width);
std::string PaddedLeft(std::string_view text, int width);
/// Lines of at most `width` columns, broken at spaces and, where a word is longer, inside it. Keeps line feeds.
std::vector<std::string> Wrapped(std::string_view text, int width);

}  // namespace isochrone
