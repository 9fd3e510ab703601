#pragma once

#include <nlohmann/json_fwd.hpp>

#include <utility>
#include <vector>

#include "plan/metrics.h"
#include "plan/scenario.h"

namespace isochrone::cli {

// What predicted and measured answers share, so that they compare key by key. docs/schema.md describes the JSON.

/// The parts of a step's time, and of a GPU's memory, with their names.
const std::vector<std::pair<const char*, Seconds plan::Attribution::*>>& AttributionParts();
const std::vector<std::pair<const char*, Bytes plan::StageMemory::*>>& MemoryParts();

nlohmann::ordered_json ScenarioJson(const plan::Scenario& scenario);
nlohmann::ordered_json MemoryJson(const plan::Metrics& metrics);
nlohmann::ordered_json AttributionJson(const plan::Attribution& attribution);
/// Communication that nothing hides, by kind.
nlohmann::ordered_json ExposedJson(const plan::Attribution& attribution);

}  // namespace isochrone::cli
