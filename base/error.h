#pragma once

#include <stdexcept>
#include <string>

namespace isochrone {

/// Wrong input: a file, a key, a value, a command line, a machine that lacks something. Caught once, in
/// `cli/main.cc`, printed as
///
///   error: WHERE
///     WHAT is wrong
///     INSTEAD: what would be right
///
/// where    the place: "file.json: /strategy/tensor = 10", "rank 3, op qkv", "--jobs"
/// what     the fault, one or more lines
/// instead  the remedy; may be empty only where none exists
class Error : public std::runtime_error {
 public:
  Error(std::string where, std::string what, std::string instead = "");

  std::string where, fault, instead;
};

/// Stops the program: our bug, never the user's. Exit status 2.
[[noreturn]] void CheckFailed(const char* condition, const char* file, int line, const std::string& note);

}  // namespace isochrone

/// Holds unless we made a mistake. No input may reach a failing one.
#define ISO_CHECK(condition) ((condition) ? (void)0 : ::isochrone::CheckFailed(#condition, __FILE__, __LINE__, ""))
#define ISO_CHECK_NOTE(condition, note) \
  ((condition) ? (void)0 : ::isochrone::CheckFailed(#condition, __FILE__, __LINE__, (note)))
