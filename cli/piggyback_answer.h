#pragma once

#include <string>
#include <vector>

#include "study/inference/piggyback.h"

namespace isochrone::cli {

/// The answer to a scenario with "workload": "piggyback", for people and for programs.
std::string PiggybackText(const study::PiggybackScenario& scenario, const std::vector<study::PiggybackGain>& gains);
std::string PiggybackJson(const study::PiggybackScenario& scenario, const std::vector<study::PiggybackGain>& gains,
                          const std::string& command);

}  // namespace isochrone::cli
