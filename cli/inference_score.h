#pragma once

#include <map>
#include <string>

#include "cli/answering.h"

namespace isochrone::cli {

/// `score` of a table of published generations: one error per metric, source and kind of GPU.
struct InferenceScoreAsked {
  std::string rows, csv;
  std::map<std::string, double> bars;  // "SOURCE/METRIC" -> percent of the median over all its rows
  Answering how;
  bool markdown = false;
};

/// True for a file that is such a table (by its name: .csv).
bool IsInferenceTable(const std::string& path);

int RunInferenceScore(const InferenceScoreAsked& asked);

}  // namespace isochrone::cli
