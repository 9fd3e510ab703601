#pragma once

#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "base/json.h"
#include "plan/readers.h"
#include "study/search/space.h"

namespace isochrone::study {

/// How a sweep file writes values that vary: a list, a range or "search". For the readers of sweep files alone.

/// The values that a list or a range stands for, or none where `value` is one value. Throws Error.
std::vector<nlohmann::json> Listed(const Json& value);

/// Whether `value`, under strategy or batch/microbatch, stands for several.
bool Varies(const Json& value, const std::string& key);

struct Varied {
  std::string key;
  Json value;
};

/// The axes of one base, in the order in which they are walked; sets each to its first value in `base`. Throws Error.
std::vector<Axis> AxesOf(const std::vector<Varied>& varied, plan::Scenario& base, const Constraints& limits,
                         const plan::Found& file);

}  // namespace isochrone::study
