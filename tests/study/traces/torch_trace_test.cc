// What PyTorch's profiler really wrote of a step on a CPU (tests/golden/torch_trace/record.py), beside its prediction.
#include <catch2/catch.hpp>

#include <numeric>

#include "base/text.h"
#include "plan/scenario.h"
#include "study/predict.h"
#include "study/traces/kernel_map.h"

using namespace isochrone;
using namespace isochrone::study;

namespace {

const std::string kFolder = std::string(ISO_SOURCE_DIR) + "/tests/golden/torch_trace";

TraceComparison Compared() {
  const Prediction p = Predict(plan::ReadScenario(kFolder + "/scenario.json"));
  return CompareTrace(ReadKineto(kFolder + "/trace.json"), ReadKernelMap(kFolder + "/map.json"), OperationsOf(p));
}

}  // namespace

TEST_CASE("operators that PyTorch recorded on a CPU stand beside the predicted ops of the step", "[traces]") {
  const TraceComparison c = Compared();
  CHECK(c.steps == 2);
  std::string counts;
  for (const GroupTimes& g : c.groups) {
    counts += g.name + " " + Fixed(g.kernels, 1) + "\n";
    INFO(g.name);
    CHECK(g.predicted > 0);
    CHECK(g.measured > 0);
  }
  // One layer has four linear layers, whose input and weight gradients are products, as the logits' are.
  CHECK(counts.find("products forward 5.0\n") != std::string::npos);
  CHECK(counts.find("products backward 10.0\n") != std::string::npos);
  CHECK(c.other_kernels.empty());
  CHECK(c.other_operations.empty());
}

TEST_CASE("operators' own times add up to the time that their step spent in operators", "[traces]") {
  const TraceComparison c = Compared();
  const double inside = std::accumulate(c.groups.begin(), c.groups.end(), 0.0,
                                        [](double sum, const GroupTimes& g) { return sum + g.measured; });
  // The rest of the step is Python's, between them.
  CHECK(inside < c.step_seconds);
  CHECK(inside > 0.9 * c.step_seconds);
}
