#include "base/text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <span>

#include "base/error.h"

namespace isochrone {
namespace {

std::string Digits(double value, int decimals) {
  std::array<char, 400> buffer;  // the largest double has 309 digits
  const auto [end, fault] =
      std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, std::chars_format::fixed, decimals);
  ISO_CHECK(fault == std::errc());
  return std::string(buffer.data(), end);
}

/// Rounded to three digits, so that 999.6 is 1000 before a unit is chosen for it.
double RoundedToThree(double value) {
  if (value == 0 || !std::isfinite(value)) return value;
  const double scale = std::pow(10.0, std::floor(std::log10(std::abs(value))) - 2);
  return std::round(value / scale) * scale;
}

/// Decimals that leave three digits in a value that is already rounded.
int DecimalsForThree(double rounded) {
  const double size = std::abs(rounded);
  if (size == 0 || size > 99.95) return 0;
  return 2 - static_cast<int>(std::floor(std::log10(size * (1 + 1e-12))));
}

/// Three digits with the largest of `units` that keeps the value at one or more; each unit is `base` times the one
/// before.
template <std::size_t N>
std::string Scaled(double value, double base, const std::array<const char*, N>& units) {
  std::size_t unit = 0;
  double shown = value;
  while (std::abs(RoundedToThree(shown)) >= base && unit + 1 < N) shown /= base, ++unit;
  return ThreeDigits(shown) + " " + units[unit];
}

std::string TwoParts(std::int64_t total, std::int64_t small, const char* large_unit, const char* small_unit) {
  const std::int64_t rest = total % small;
  return Grouped(total / small) + " " + large_unit + " " + (rest < 10 ? "0" : "") + std::to_string(rest) + " " +
         small_unit;
}

/// One code point of UTF-8 at the front of `text`; a stray byte counts as one.
struct Decoded {
  char32_t code;
  std::size_t bytes;
};

Decoded FirstOf(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text[0]);
  const std::size_t bytes = lead < 0x80 ? 1 : lead >> 5 == 6 ? 2 : lead >> 4 == 14 ? 3 : lead >> 3 == 30 ? 4 : 1;
  if (bytes == 1 || bytes > text.size()) return {lead < 0x80 ? lead : U'\uFFFD', 1};
  char32_t code = lead & (0xFFu >> (bytes + 1));
  for (std::size_t i = 1; i < bytes; ++i) {
    const auto next = static_cast<unsigned char>(text[i]);
    if (next >> 6 != 2) return {U'\uFFFD', 1};
    code = code << 6 | (next & 0x3Fu);
  }
  return {code, bytes};
}

struct Range {
  char32_t first, last;
};

bool Within(char32_t code, std::span<const Range> ranges) {
  return std::any_of(ranges.begin(), ranges.end(), [=](Range r) { return r.first <= code && code <= r.last; });
}

/// Columns of one code point. Source: Unicode 15, EastAsianWidth.txt (W and F) and general category Mn of common
/// scripts.
int WidthOf(char32_t code) {
  static constexpr Range kNone[] = {{0x0, 0x1F},      {0x7F, 0x9F},     {0x300, 0x36F},   {0x483, 0x489},
                                    {0x591, 0x5BD},   {0x610, 0x61A},   {0x64B, 0x65F},   {0x200B, 0x200F},
                                    {0x2028, 0x202E}, {0x2060, 0x2064}, {0x20D0, 0x20F0}, {0xFE00, 0xFE0F},
                                    {0xFE20, 0xFE2F}, {0xFEFF, 0xFEFF}};
  static constexpr Range kWide[] = {{0x1100, 0x115F},   {0x231A, 0x231B},   {0x2329, 0x232A},   {0x23E9, 0x23EC},
                                    {0x2614, 0x2615},   {0x2648, 0x2653},   {0x26A1, 0x26A1},   {0x2705, 0x2705},
                                    {0x274C, 0x274C},   {0x2757, 0x2757},   {0x2795, 0x2797},   {0x2B50, 0x2B50},
                                    {0x2E80, 0x303E},   {0x3041, 0x33FF},   {0x3400, 0x4DBF},   {0x4E00, 0xA4CF},
                                    {0xA960, 0xA97F},   {0xAC00, 0xD7A3},   {0xF900, 0xFAFF},   {0xFE30, 0xFE6F},
                                    {0xFF00, 0xFF60},   {0xFFE0, 0xFFE6},   {0x1F300, 0x1F64F}, {0x1F680, 0x1F6FF},
                                    {0x1F7E0, 0x1F7EB}, {0x1F900, 0x1F9FF}, {0x1FA70, 0x1FAFF}, {0x20000, 0x3FFFD}};
  if (Within(code, kNone)) return 0;
  return Within(code, kWide) ? 2 : 1;
}

/// Bytes of the colour code ("\x1b[31m") at the front of `text`; 0 when there is none.
std::size_t ColourCode(std::string_view text) {
  if (!text.starts_with("\x1b[")) return 0;
  const std::size_t end = text.find_first_not_of("0123456789;", 2);
  return end != std::string_view::npos && text[end] == 'm' ? end + 1 : 0;
}

/// The longest prefix of at most `width` columns; at least one code point, so that callers move on.
std::size_t BytesWithin(std::string_view text, int width) {
  std::size_t bytes = 0;
  int columns = 0;
  while (bytes < text.size()) {
    const std::string_view rest = text.substr(bytes);
    const std::size_t colour = ColourCode(rest);
    const Decoded next = colour > 0 ? Decoded{0, colour} : FirstOf(rest);
    columns += WidthOf(next.code);
    if (columns > width && bytes > 0) break;
    bytes += next.bytes;
  }
  return bytes;
}

void WrapLine(std::string_view line, int width, std::vector<std::string>* lines) {
  const std::size_t before = lines->size();
  while (DisplayWidth(line) > width) {
    const std::size_t fits = BytesWithin(line, width);
    std::size_t space = fits < line.size() && line[fits] == ' ' ? fits : line.rfind(' ', fits - 1);
    if (space == std::string_view::npos || line.find_first_not_of(' ') >= space) space = fits;
    std::string_view head = line.substr(0, space);
    head = head.substr(0, head.find_last_not_of(' ') + 1);
    lines->emplace_back(head);
    line.remove_prefix(space);
    line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
  }
  if (!line.empty() || lines->size() == before) lines->emplace_back(line);
}

}  // namespace

std::string Fixed(double value, int decimals) {
  if (std::isnan(value)) return "-";
  if (std::isinf(value)) return value > 0 ? "∞" : "-∞";
  std::string text = Digits(value, decimals);
  if (text[0] == '-' && text.find_first_not_of("-0.") == std::string::npos) text.erase(0, 1);
  const std::size_t first = text[0] == '-' ? 1 : 0;
  const std::size_t point = std::min(text.find('.'), text.size());
  for (std::size_t i = point; i > first + 3; i -= 3) text.insert(i - 3, ",");
  return text;
}

std::string Grouped(std::int64_t value) {
  std::string text = std::to_string(value);
  const std::size_t first = text[0] == '-' ? 1 : 0;
  for (std::size_t i = text.size(); i > first + 3; i -= 3) text.insert(i - 3, ",");
  return text;
}

std::string ThreeDigits(double value) {
  const double rounded = RoundedToThree(value);
  if (std::abs(value) >= 1000) return Fixed(value, 0);
  return Fixed(rounded, DecimalsForThree(rounded));
}

std::string HumanTime(Seconds time) {
  const double s = time.value;
  if (!std::isfinite(s)) return Fixed(s, 0);
  if (s < 0) return "-" + HumanTime(-time);
  if (s == 0) return "0 s";
  if (s < 0.9995) return Scaled(s * 1e9, 1000, std::array{"ns", "µs", "ms"});
  if (s < 119.5) return ThreeDigits(s) + " s";
  if (s < 3599.5) return TwoParts(std::llround(s), 60, "min", "s");
  if (s < 24 * 3600 - 30) return TwoParts(std::llround(s / 60), 60, "h", "min");
  if (s < 1e15) return TwoParts(std::llround(s / 3600), 24, "d", "h");
  return ThreeDigits(s / 86400) + " d";
}

std::string HumanBytes(Bytes size) {
  const double b = size.value;
  if (!std::isfinite(b)) return Fixed(b, 0);
  return std::abs(b) < 1023.5 ? Fixed(b, 0) + " B"
                              : Scaled(b / 1024, 1024, std::array{"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"});
}

std::string HumanScaled(double value, std::string_view unit) {
  if (!std::isfinite(value)) return Fixed(value, 0);
  return Scaled(value, 1000, std::array{"", "k", "M", "G", "T", "P", "E"}) + std::string(unit);
}

std::string Percent(double ratio, int decimals) { return Fixed(100 * ratio, decimals) + "%"; }

std::string Exact(double value) {
  std::array<char, 32> buffer;
  const auto [end, fault] = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value);
  ISO_CHECK(fault == std::errc());
  return std::string(buffer.data(), end);
}

int DisplayWidth(std::string_view text) {
  int width = 0;
  while (!text.empty()) {
    if (const std::size_t colour = ColourCode(text); colour > 0) {
      text.remove_prefix(colour);
      continue;
    }
    const Decoded next = FirstOf(text);
    width += WidthOf(next.code);
    text.remove_prefix(next.bytes);
  }
  return width;
}

std::string PaddedRight(std::string_view text, int width) {
  return std::string(text) + std::string(static_cast<std::size_t>(std::max(0, width - DisplayWidth(text))), ' ');
}

std::string PaddedLeft(std::string_view text, int width) {
  return std::string(static_cast<std::size_t>(std::max(0, width - DisplayWidth(text))), ' ') + std::string(text);
}

std::vector<std::string> Wrapped(std::string_view text, int width) {
  ISO_CHECK(width > 0);
  std::vector<std::string> lines;
  for (std::size_t start = 0; start <= text.size();) {
    const std::size_t end = std::min(text.find('\n', start), text.size());
    WrapLine(text.substr(start, end - start), width, &lines);
    start = end + 1;
  }
  return lines;
}

}  // namespace isochrone
