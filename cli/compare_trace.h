#pragma once

#include <string>

#include "cli/answering.h"

namespace isochrone::cli {

/// Gives the predicted step of a scenario beside what a profiler recorded of it, group by group as the map says.
/// Throws Error.
void CompareWithTrace(const std::string& scenario, const std::string& trace, const std::string& map,
                      const Answering& how);

}  // namespace isochrone::cli
