#pragma once

#include <string>

#include "study/inference/generate.h"

namespace isochrone::cli {

/// The answer to a scenario with "workload": "generate", for people and for programs.
std::string GenerationText(const study::GenerationAnswer& answer);
std::string GenerationJson(const study::GenerationAnswer& answer, const std::string& command);

}  // namespace isochrone::cli
