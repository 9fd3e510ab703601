#pragma once

#include <string>

#include "study/inference/power_row.h"

namespace isochrone::cli {

/// The answer to a scenario with "workload": "power", for people and for programs.
std::string PowerText(const study::PowerScenario& scenario, const study::PowerAnswer& answer);
std::string PowerJson(const study::PowerScenario& scenario, const study::PowerAnswer& answer,
                      const std::string& command);

}  // namespace isochrone::cli
