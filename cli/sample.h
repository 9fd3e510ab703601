#pragma once

#include <string>
#include <vector>

#include "plan/samples.h"

namespace isochrone::cli {

/// Measures every op of the scenarios on this machine, each once.
plan::Samples SampledOps(const std::vector<std::string>& scenarios, const std::string& command);

}  // namespace isochrone::cli
