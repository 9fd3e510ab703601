#pragma once

#include <array>
#include <catch2/catch.hpp>
#include <cstdio>
#include <fstream>
#include <string>

#include "tests/folder.h"

namespace isochrone::cli {

/// What tests of the program's words share.

inline const std::string kScenario = "scenarios/examples/gpt3_on_64_a100.json";

struct Done {
  int status = 0;
  std::string out;  // standard output and error
};

/// Runs the program as a person would, in the root of the project.
inline Done Isochrone(const std::string& arguments) {
  const std::string command = std::string("'") + ISO_BINARY + "' " + arguments + " 2>&1 </dev/null";
  Done done;
  FILE* pipe = ::popen(command.c_str(), "r");
  REQUIRE(pipe != nullptr);
  std::array<char, 65536> part{};
  for (std::size_t n; (n = std::fread(part.data(), 1, part.size(), pipe)) > 0;) done.out.append(part.data(), n);
  done.status = WEXITSTATUS(::pclose(pipe));
  return done;
}

inline std::string ContentOf(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace isochrone::cli
