#pragma once

#include <cstdio>
#include <string>
#include <string_view>

namespace isochrone {

enum class Colour { kRed, kGreen, kYellow, kBlue, kMagenta, kCyan, kGrey, kBold };

/// What a stream can show.
struct Terminal {
  bool is_terminal = false;  ///< a person watches: progress bars may move
  bool colour = false;
  int width = 0;  ///< columns; 0 when nothing limits a line (a file, a pipe)

  /// `text` in that colour, or as it is where there is no colour.
  std::string Paint(Colour colour, std::string_view text) const;
};

/// What the environment says; each may be null, as from getenv.
struct TerminalHints {
  const char* no_color = nullptr;  ///< NO_COLOR
  const char* term = nullptr;      ///< TERM
  const char* columns = nullptr;   ///< COLUMNS
};

/// The policy: colour only on a terminal, never where NO_COLOR is set to anything but "" (no-color.org), nor where TERM
/// is unset or "dumb". The width is what the terminal says, else COLUMNS, else 80; a file or a pipe has none.
Terminal TerminalFrom(bool is_terminal, int columns_of_terminal, const TerminalHints& hints);

/// The policy applied to `stream`, for example stdout.
Terminal TerminalOf(std::FILE* stream);

}  // namespace isochrone
