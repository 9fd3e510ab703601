#include "base/error.h"

#include <cstdio>
#include <cstdlib>
#include <utility>

namespace isochrone {
namespace {

std::string Indented(const std::string& text) {
  std::string out = "\n  ";
  for (char c : text) {
    out += c;
    if (c == '\n') out += "  ";
  }
  return out;
}

std::string Message(const std::string& where, const std::string& what, const std::string& instead) {
  return where + Indented(what) + (instead.empty() ? "" : Indented(instead));
}

}  // namespace

Error::Error(std::string where_, std::string what_, std::string instead_)
    : std::runtime_error(Message(where_, what_, instead_)),
      where(std::move(where_)),
      fault(std::move(what_)),
      instead(std::move(instead_)) {}

void CheckFailed(const char* condition, const char* file, int line, const std::string& note) {
  std::fprintf(stderr, "internal error: %s:%d: %s does not hold%s%s\n  this is a bug in isochrone; please report it\n",
               file, line, condition, note.empty() ? "" : ": ", note.c_str());
  std::_Exit(2);
}

}  // namespace isochrone
