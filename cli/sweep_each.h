#pragma once

#include <string>
#include <vector>

#include "study/search/break_even.h"
#include "study/search/each.h"

namespace isochrone::cli {

std::string EachJson(const study::Space& space, const std::vector<study::BestOfEach>& all, const std::string& command);
/// One line for each combination, and between which neighbours the best changes.
std::string EachText(const study::Space& space, const std::vector<study::BestOfEach>& all);

/// The points at which the best changes.
std::string BreakEvenJson(const study::Space& space, const study::BreakEvens& all, const std::string& command);
std::string BreakEvenText(const study::Space& space, const study::BreakEvens& all);

}  // namespace isochrone::cli
