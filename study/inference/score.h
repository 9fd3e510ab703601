#pragma once

#include <string>
#include <vector>

#include "costmodel/inference/engine.h"
#include "plan/inference/step_cost.h"
#include "study/inference/rows.h"

namespace isochrone::study {

/// One measured time of one row, and what was predicted for it.
struct ScoredTime {
  int line = 0;
  std::string source, metric;     // "ttft", "tpot", "step", "total"
  std::string hardware, engine;   // of the row; `engine` as a profile's name
  std::string status = "scored";  // "shown": predicted but not judged; "skipped": `reason` says why
  std::string reason;
  std::string role = "held_out";  // "fit" where the engine's constants were fitted to this row
  double predicted_s = 0, measured_s = 0;
  double Error() const { return predicted_s / measured_s - 1; }
};

/// One metric of one source on one kind of GPU ("all": on all), fit and held-out rows apart. Ratios, not percent.
struct TimesScore {
  std::string source, metric, hardware, role, status;
  int rows = 0, scored = 0;
  double mean = 0, median = 0, bias = 0, worst = 0;
};

struct InferenceScore {
  std::vector<ScoredTime> rows;
  std::vector<TimesScore> groups;  // by source, metric and hardware, then of all hardware ("all")
};

/// The predicted times of one row: every metric that it measured.
std::vector<ScoredTime> PredictRow(const InferenceRow& row, const costmodel::EngineProfile& engine,
                                   const plan::ReplicaCost& cost);

/// Predicts every time of every row. Rows that share model, GPU, degrees, precision and engine share one cost function.
InferenceScore ScoreInference(const std::vector<InferenceRow>& rows,
                              void (*progress)(std::size_t done, std::size_t all));

/// Summaries of `rows`.
std::vector<TimesScore> Summaries(const std::vector<ScoredTime>& rows);

}  // namespace isochrone::study
