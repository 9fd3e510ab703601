#pragma once

#include <string>
#include <utility>
#include <vector>

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

/// The block that every answer ends with: version, commit, what `more` says and `command`, what was typed.
nlohmann::ordered_json Provenance(const std::string& command,
                                  const std::vector<std::pair<std::string, std::string>>& more = {});

/// The fitted numbers that a prediction stands on: those of its GPU and those of its framework.
std::string ProfileNameOf(const plan::Scenario& scenario);

/// An answer as a file: one line per top-level key, bytes that are no UTF-8 replaced.
std::string Printed(const nlohmann::ordered_json& answer);

}  // namespace isochrone::cli
