#include "base/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdlib>

namespace isochrone {
namespace {

const char* CodeOf(Colour colour) {
  switch (colour) {
    case Colour::kRed:
      return "31";
    case Colour::kGreen:
      return "32";
    case Colour::kYellow:
      return "33";
    case Colour::kBlue:
      return "34";
    case Colour::kMagenta:
      return "35";
    case Colour::kCyan:
      return "36";
    case Colour::kGrey:
      return "90";
    case Colour::kBold:
      return "1";
  }
  return "0";
}

}  // namespace

std::string Terminal::Paint(Colour which, std::string_view text) const {
  if (!colour) return std::string(text);
  return std::string("\x1b[") + CodeOf(which) + "m" + std::string(text) + "\x1b[0m";
}

Terminal TerminalFrom(bool is_terminal, int columns_of_terminal, const TerminalHints& hints) {
  if (!is_terminal) return {};
  const bool refused = hints.no_color != nullptr && *hints.no_color != '\0';
  const bool able = hints.term != nullptr && *hints.term != '\0' && std::string_view(hints.term) != "dumb";
  int width = columns_of_terminal;
  if (width <= 0 && hints.columns != nullptr) width = std::atoi(hints.columns);
  constexpr int kUsualWidth = 80;
  return {.is_terminal = true, .colour = able && !refused, .width = width > 0 ? width : kUsualWidth};
}

Terminal TerminalOf(std::FILE* stream) {
  const int descriptor = ::fileno(stream);
  winsize size{};
  const bool known = ::ioctl(descriptor, TIOCGWINSZ, &size) == 0;
  return TerminalFrom(::isatty(descriptor) == 1, known ? size.ws_col : 0,
                      {std::getenv("NO_COLOR"), std::getenv("TERM"), std::getenv("COLUMNS")});
}

}  // namespace isochrone
