#include "study/interval.h"

#include "costmodel/framework.h"

namespace isochrone::study {

double UnmeasuredShare(const std::vector<OperationLine>& operations, const costmodel::Costs& costs) {
  double all = 0, unmeasured = 0;
  for (const OperationLine& line : operations) {
    if (line.op->stream != plan::Stream::kCompute) continue;
    all += line.Total();
    const std::vector<costmodel::Term> terms = costs.Explain(*line.op);
    if (!terms.empty() && !terms.front().source.measured) unmeasured += line.Total();
  }
  return all > 0 ? unmeasured / all : 0;
}

Range IntervalOf(const plan::Scenario& scenario, Seconds step_time) {
  const plan::Strategy& s = scenario.strategy;
  const costmodel::FrameworkProfile profile =
      costmodel::FrameworkOf(s.framework, scenario.cluster.node.gpu, s.compiled, s.optimizer_sharding);
  const bool unfused = s.attention == plan::AttentionForm::kUnfused;
  const double spread = scenario.model.moe ? profile.expert_spread : unfused ? profile.unfused_spread : profile.spread;
  return {(1 - spread) * step_time, (1 + spread) * step_time};
}

}  // namespace isochrone::study
