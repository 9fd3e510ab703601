#pragma once

#include <atomic>
#include <string>
#include <vector>

#include "study/search/each.h"

namespace isochrone::study {

/// Neighbouring values of what a sweep lists, at which different configurations are best.
struct BreakEven {
  double below = 0, above = 0;
  BestOfEach best_below, best_above;
};

/// Over the range that a sweep lists for one key.
struct BreakEvens {
  double least = 0, most = 0;
  BestOfEach best_of_least;
  std::vector<BreakEven> points;  // ascending
};

/// The points between the values that the sweep file `path` lists for one key (a bandwidth, a memory, a batch, a
/// sequence length) at which the best changes. Between neighbours with different bests the interval
/// is halved, searched anew at its middle, and halved again, until its ends are within half a percent of each other; of
/// a key that is a whole number (all but figures of hardware), until they are neighbouring multiples of the listed
/// values' greatest common divisor. Where the same configuration is best at both ends, nothing between is asked.
///
/// space   of the file
/// Throws  Error unless exactly one key is listed, as numbers
BreakEvens BreakEvensOf(const Space& space, const std::string& path, int jobs, const std::atomic<bool>& stop);

}  // namespace isochrone::study
