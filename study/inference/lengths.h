#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "sim/serving/arrivals.h"

namespace isochrone::study {

/// Reads a distribution of lengths; `answers`: of answers, which may depend on their prompts. Throws Error.
sim::serving::Lengths ReadLengths(const Json& object, bool answers);

/// Reads a trace: lines "arrival_s,prompt_tokens,output_tokens" under that header, sorted by arrival. Throws Error with
/// file and line for whatever is damaged.
std::vector<sim::serving::Request> ReadTrace(const std::string& path, const std::string& name);

}  // namespace isochrone::study
