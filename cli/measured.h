#pragma once

#include <string>

#include "executor/run.h"
#include "plan/scenario.h"

namespace isochrone::cli {

/// A measured step as JSON with the keys of a prediction, plus clock, device, losses and measured operations.
std::string MeasuredJson(const plan::Scenario& scenario, const executor::RunResult& result, const std::string& command,
                         bool with_timeline);

/// The same as text for a terminal.
std::string MeasuredText(const plan::Scenario& scenario, const executor::RunResult& result);

}  // namespace isochrone::cli
