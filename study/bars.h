#pragma once

#include <optional>
#include <string>
#include <vector>

#include "study/score.h"

namespace isochrone::study {

/// What is asked of the held-out rows of one family, or of some of them. Ratios, not percent.
struct Bar {
  std::string name, family;
  std::string locus;                  // only rows whose locus starts so; empty: all
  int most_tensor = 0;                // only rows of at most this tensor degree; 0: all
  std::optional<bool> experts;        // only rows with, or without, a mixture of experts
  std::optional<double> mean, worst;  // at most: of |error|
  std::optional<double> coverage_least, coverage_most;
};

/// A bar and what the score says of it.
struct BarResult {
  Bar bar;
  int rows = 0;  // held out and scored; 0: the score has no such row, and the bar is not judged
  double mean = 0, worst = 0, coverage = 0, width = 0, winkler = 0;
  bool reached = false;
};

/// Reads {"bars": [{"name", "family", "mean_error_pct", …}]}; docs/rows.md has the keys. Throws Error.
std::vector<Bar> ReadBars(const std::string& path);

/// Judges each bar by the held-out rows of `score`.
std::vector<BarResult> Judge(const std::vector<Bar>& bars, const Score& score);

}  // namespace isochrone::study
