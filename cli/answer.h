#pragma once

#include <string>

#include "study/predict.h"

namespace isochrone::cli {

/// A prediction as the JSON that docs/schema.md describes, one line per top-level key.
///
/// command  what was typed, for the provenance block
std::string PredictionJson(const study::Prediction& prediction, const costmodel::Costs& costs,
                           const std::string& command, bool with_timeline);

/// The same as text for a terminal.
std::string PredictionText(const study::Prediction& prediction);

}  // namespace isochrone::cli
