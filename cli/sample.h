#pragma once

#include <string>
#include <vector>

#include "executor/clock.h"
#include "plan/samples.h"

namespace isochrone::cli {

/// Measures every op of the scenarios on this machine by `clock`, each once.
plan::Samples SampledOps(const std::vector<std::string>& scenarios, executor::ClockKind clock,
                         const std::string& command);

}  // namespace isochrone::cli
