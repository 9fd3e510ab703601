#pragma once

#include <nlohmann/json_fwd.hpp>

#include "study/predict.h"

namespace isochrone::cli {

/// Spans as rows under "columns", docs/schema.md.
nlohmann::ordered_json TimelineJson(const plan::Timeline& timeline);

/// Adds "timeline" and "memory_over_time" to an answer, and where side tasks do not slow compute "critical_path" and
/// "what_if".
/// Requires  the prediction was made with a timeline
void AddTimeline(const study::Prediction& prediction, nlohmann::ordered_json& answer);

}  // namespace isochrone::cli
