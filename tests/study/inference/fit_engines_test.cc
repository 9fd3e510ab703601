// Fits the constants of every engine profile again, to the rows that the profile lists. Needs the table of published
// generations: ISO_INFERENCE_ROWS=FILE study_tests "[fit-engines]"
#include <catch2/catch.hpp>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <map>

#include "costmodel/inference/step_price.h"
#include "study/inference/score.h"

namespace isochrone::study {
namespace {

using costmodel::EngineProfile;

/// The mean |ln(predicted / measured)| of each metric over the rows that the engine was fitted to, averaged over
/// metrics.
double Misfit(const std::vector<const InferenceRow*>& rows, const EngineProfile& engine) {
  std::map<std::string, plan::ReplicaCost> costs;
  std::map<std::string, std::pair<double, int>> sums;
  for (const InferenceRow* row : rows) {
    const plan::InferenceScenario& s = *row->scenario;
    const std::string key = row->key.substr(0, row->key.find(" batch"));  // model, GPU, degrees, precision
    if (costs.count(key) == 0)
      costs[key] = costmodel::ReplicaCostOf(s, *costmodel::ProfileOf(s.base.cluster.node.gpu), engine);
    for (const ScoredTime& t : PredictRow(*row, engine, costs[key])) {
      if (t.status != "scored") continue;
      sums[t.metric].first += std::abs(std::log(t.predicted_s / t.measured_s));
      ++sums[t.metric].second;
    }
  }
  double mean = 0;
  for (const auto& [metric, sum] : sums) mean += sum.first / sum.second / static_cast<double>(sums.size());
  return mean;
}

TEST_CASE("no constant of an engine can be moved by a tenth and fit its rows much better", "[.][fit-engines]") {
  const char* path = std::getenv("ISO_INFERENCE_ROWS");
  REQUIRE(path != nullptr);
  const std::vector<InferenceRow> all = ReadInferenceRows(path);
  for (const std::string& name : costmodel::EngineNames()) {
    std::map<std::string, std::vector<const InferenceRow*>> by_architecture;
    for (const InferenceRow& row : all) {
      if (!row.scenario || row.scenario->strategy.engine != name) continue;
      const plan::Gpu& gpu = row.scenario->base.cluster.node.gpu;
      if (costmodel::EngineOf(name, gpu).fitted_rows.count(row.key) > 0)
        by_architecture[gpu.architecture].push_back(&row);
    }
    for (const auto& [architecture, rows] : by_architecture) {
      const EngineProfile fitted = costmodel::EngineOf(name, rows.front()->scenario->base.cluster.node.gpu);
      const double misfit = Misfit(rows, fitted);
      std::printf("%-20s %-16s %4zu rows, mean |ln| %.4f\n", name.c_str(), architecture.c_str(), rows.size(), misfit);
      CHECK(misfit < 0.35);
      for (Seconds EngineProfile::*member :
           {&EngineProfile::step, &EngineProfile::sequence, &EngineProfile::launch, &EngineProfile::one_shot}) {
        for (const double factor : {0.9, 1.1}) {
          EngineProfile moved = fitted;
          moved.*member *= factor;
          CHECK(Misfit(rows, moved) > misfit - 0.03);
        }
      }
      for (double EngineProfile::*member :
           {&EngineProfile::kernel_time, &EngineProfile::tensor_communication, &EngineProfile::attention_over_peak}) {
        for (const double factor : {0.9, 1.1}) {
          EngineProfile moved = fitted;
          moved.*member *= factor;
          CHECK(Misfit(rows, moved) > misfit - 0.03);
        }
      }
    }
  }
}

}  // namespace
}  // namespace isochrone::study
