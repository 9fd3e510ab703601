// One GPU against one CPU rank, on real hardware: exit 77 where there is none.
#include <algorithm>
#include <cmath>
#include <cstdio>

#include "executor/cuda/run.h"
#include "tests/executor/tiny.h"

using namespace isochrone;
using namespace isochrone::executor;

namespace {

/// Largest relative distance of losses, gradients and parameters.
double DistanceOf(const RunResult& got, const RunResult& want) {
  double distance = 0;
  for (std::size_t i = 0; i < want.losses.size(); ++i)
    distance = std::max(distance, std::abs(got.losses[i] - want.losses[i]) / std::abs(want.losses[i]));
  for (const auto& [key, value] : want.parameters) {
    distance = std::max(distance, Distance(got.parameters.at(key), value, 1e-3));
    distance = std::max(distance, Distance(got.gradients.at(key), want.gradients.at(key), 1e-3));
  }
  return distance;
}

}  // namespace

int main() {
  if (const std::string why = cuda::WhyNoGpu(); !why.empty()) {
    std::printf("skipped: %s\n", why.c_str());
    return 77;
  }
  int wrong = 0;
  for (const bool llama : {false, true}) {
    plan::Scenario s = Tiny();
    s.strategy.precision = s.strategy.gradient_dtype = s.strategy.gradient_reduce_dtype = plan::Dtype::kFp32;
    if (llama) MakeLlama(s.model);
    const plan::Plan plan = plan::BuildPlan(s);
    const RunOptions options = TinyOptions(s);
    const double distance = DistanceOf(*cuda::RunOnGpus(s, plan, options), Run<float>(s, plan, options));
    const bool equal = distance < 1e-3;
    std::printf("%s: %.2e from one CPU rank, %s 1e-3\n", llama ? "Llama" : "GPT", distance,
                equal ? "within" : "NOT within");
    wrong += !equal;
  }
  return wrong == 0 ? 0 : 1;
}
