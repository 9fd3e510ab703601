#pragma once

#include <map>
#include <string>

#include "base/json.h"
#include "plan/scenario.h"
#include "study/rows.h"
#include "study/usual_nodes.h"

namespace isochrone::study {

/// The scenario that a row measured; see ReadRows for what is assumed. Appends to `row.assumed` and `row.ignored`.
/// Throws Error where the row cannot be expressed.
plan::Scenario ScenarioOf(const Json& json, NodeCache& nodes, Row& row);

}  // namespace isochrone::study
