#include "study/stage_score.h"

#include <algorithm>

#include "plan/build.h"
#include "study/predict.h"
#include "study/terms/estimate.h"

namespace isochrone::study {
namespace {

StageProfile PricedStage(const plan::Scenario& s) {
  const costmodel::Costs costs = CostsOf(s);
  const BlockShape blocks = ShapeOfBlocks(s, plan::BuildBarePrograms(s));
  const std::vector<LayerTerms> prices = PriceBlocks(blocks, costs);
  const StageCut cut = CutOf(s, blocks.table);
  StageTerms stages;
  AddUpStages(s.strategy, blocks, prices, costs.HostOfBatch().value, cut, stages);
  StageProfile mean;
  for (const int kind : cut.kind) {
    const auto k = static_cast<std::size_t>(kind);
    mean.forward += Seconds(stages.forward[k] / s.strategy.pipeline);
    mean.backward_input += Seconds(stages.input[k] / s.strategy.pipeline);
    mean.backward_weight += Seconds(stages.weight[k] / s.strategy.pipeline);
  }
  return mean;
}

}  // namespace

std::vector<StageScore> StagesOf(const std::vector<Row>& rows) {
  std::vector<StageScore> scores;
  for (const Row& row : rows) {
    if (!row.stage || !row.scenario) continue;
    const bool known =
        std::any_of(scores.begin(), scores.end(), [&](const StageScore& s) { return s.measured == *row.stage; });
    if (!known) scores.push_back({row.id, *row.stage, PricedStage(*row.scenario)});
  }
  return scores;
}

}  // namespace isochrone::study
