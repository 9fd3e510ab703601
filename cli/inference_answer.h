#pragma once

#include <string>

namespace isochrone::cli {

/// True for a scenario file with a "workload": it asks about inference.
bool AsksAboutInference(const std::string& path);

/// Reads such a file, answers it and prints the answer; the exit status.
int AnswerInference(const std::string& path, bool json);

}  // namespace isochrone::cli
