#pragma once

#include <string>

#include "study/inference/placement.h"

namespace isochrone::cli {

/// The answer to a serving scenario with a "search", for people and for programs.
std::string PlanSearchText(const study::ServeScenario& scenario, const study::SearchAnswer& answer);
std::string PlanSearchJson(const study::ServeScenario& scenario, const study::SearchAnswer& answer,
                           const std::string& command);

}  // namespace isochrone::cli
