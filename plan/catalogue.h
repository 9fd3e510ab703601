#pragma once

#include <string>

#include "base/json.h"

namespace isochrone::plan {

/// A file that a reference led to. `name` is what messages call it: as the user wrote it, next to the file that refers
/// to it, or "scenarios/…" where it lies in the catalogue (wherever that is installed).
struct Found {
  std::string path, name;
};

/// Finds what a user named on the command line: a file, else a file of the catalogue ("models/gpt3_175b.json", with or
/// without "scenarios/" in front). Throws Error that suggests the nearest file of that folder.
Found FindFile(const std::string& reference);

/// Finds what `reference`, a string in a file at `beside`, names: next to that file, else in the catalogue.
Found FindReference(const Json& reference, const Found& beside);

/// Reads a found file; no file of a scenario is larger than 16 MiB.
Json ReadJson(const Found& file);
std::string ReadText(const Found& file);

}  // namespace isochrone::plan
