#pragma once

#include <string>

#include "study/inference/serve.h"

namespace isochrone::cli {

/// The answer to a scenario with "workload": "serve", for people and for programs.
std::string ServingText(const study::ServeScenario& scenario, const study::ServeAnswer& answer);
std::string ServingJson(const study::ServeScenario& scenario, const study::ServeAnswer& answer,
                        const std::string& command);

}  // namespace isochrone::cli
