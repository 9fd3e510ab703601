#include "study/interval.h"

#include "costmodel/framework.h"

namespace isochrone::study {

Range IntervalOf(const plan::Scenario& scenario, Seconds step_time) {
  const plan::Strategy& s = scenario.strategy;
  const double spread =
      costmodel::FrameworkOf(s.framework, scenario.cluster.node.gpu, s.compiled, s.optimizer_sharding).spread;
  return {(1 - spread) * step_time, (1 + spread) * step_time};
}

}  // namespace isochrone::study
