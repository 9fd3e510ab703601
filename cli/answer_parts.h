#pragma once

#include <nlohmann/json_fwd.hpp>

#include "base/table.h"
#include "plan/metrics.h"
#include "plan/scenario.h"

namespace isochrone::cli {

// What predicted and measured answers share, so that they compare key by key. docs/schema.md describes the JSON.

nlohmann::ordered_json ScenarioJson(const plan::Scenario& scenario);

/// Appends every metric: times, rates, bubbles, attribution, exposed communication, memory.
void AddMetrics(const plan::Metrics& metrics, nlohmann::ordered_json& answer);

/// Where the time of the reported rank goes: its parts that are not zero, in seconds with `decimals` and as shares.
Table TimeTable(const plan::Metrics& metrics, int decimals);

}  // namespace isochrone::cli
