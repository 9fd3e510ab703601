#include "plan/step_flops.h"

namespace isochrone::plan {

StepFlops FlopsOfStep(const Plan& plan) {
  const double replicas = plan.layout.tp * plan.layout.cp * plan.layout.dp * plan.schedule.microbatches;
  StepFlops sum;
  for (const StageContent& stage : plan.stages) {
    for (const Section& s : stage.sections) {
      const LayerProgram& p = plan.programs[static_cast<std::size_t>(s.program)];
      Flops again;
      for (const Op& op : p.Ops(Phase::kRecompute)) again += MatrixFlopsOf(op, true);
      sum.model += replicas * s.count * p.model_flops;
      sum.hardware += replicas * s.count * (p.model_flops + again);
    }
  }
  return sum;
}

}  // namespace isochrone::plan
