#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "study/search/space.h"

namespace isochrone::study {

/// How the combinations of one base are counted: its axes by level, and how many combinations each level has. A unit is
/// one combination of block axes; units and indices run on over all bases. A part is a unit's combinations of one
/// layout: what one thread takes at a time, and indices of a unit's parts follow each other.
struct Walk {
  const plan::Scenario* base = nullptr;
  const std::vector<Axis>* axes = nullptr;
  std::size_t number = 0;                                            // of the base
  std::size_t pipeline = 0, layout_end = 0, messages = 0, step = 0;  // first axis of that part
  std::int64_t units = 1, per_unit = 1, combinations = 1;            // block axes; all others; step axes
  std::int64_t parts = 1;                                            // of a unit
  std::int64_t PerPart() const { return per_unit / parts; }
  std::vector<const Axis*> cutters;  // axes that only cut layers into stages
  std::int64_t first_index = 0, first_unit = 0;
};

/// One for each base of `space`, which must outlive them.
std::vector<Walk> WalksOf(const Space& space);

/// Names the values that a unit gives to those block axes that state and gradients depend on.
std::int64_t PrefixOf(const Walk& walk, std::int64_t unit);

}  // namespace isochrone::study
