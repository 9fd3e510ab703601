#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/table.h"
#include "reports/store.h"

namespace isochrone::reports {

/// One value that differs: "/rows/korthikanti_3/predicted_s". Items of a list are matched by their id, name, family or
/// stage, so that an inserted row moves no other.
struct Change {
  std::string path;
  std::string before, after;  // "" where absent
  double relative = 0;        // after / before - 1; 0 where either is no number
};

/// What differs between two answers in JSON, but how they were made. Numbers within `tolerance` of each other
/// (relative) are equal.
std::vector<Change> Differences(std::string_view before, std::string_view after, double tolerance = 0);

/// Two successive versions that answered the same question differently.
struct Movement {
  Entry before, after;
  std::vector<Change> changes;
  /// Why this is worse, "" where it is only different: a family of a score whose mean error grew by more than
  /// kErrorGrowthPct points, a run that became slower by more than `tolerance`.
  std::string regression;
};
inline constexpr double kErrorGrowthPct = 0.1;

/// Every movement of the store, oldest first; of one subject where given.
std::vector<Movement> Movements(const Store& store, double tolerance = 1e-6, std::string_view subject = "");

/// As a table of a person's reading: when, what, from which commit to which, how many values moved and the first of
/// them, worst.
Table MovementTable(const std::vector<Movement>& movements);

}  // namespace isochrone::reports
