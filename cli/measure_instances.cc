// Measures instances of a model with the executor.
#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "cli/inputs.h"
#include "cli/instances_answer.h"
#include "executor/run.h"
#include "kernels/gemm.h"
#include "plan/build.h"

namespace isochrone::cli {
namespace {

constexpr int kSteps = 6;  // the first is not measured; of the others the middle one counts

/// The forward pass of one instance's batch, as a step of which only that part counts.
plan::Scenario StepOf(const study::InstancesScenario& s, const study::Instance& point) {
  plan::Scenario step;
  step.file = s.file, step.model = s.model, step.cluster = s.cluster;
  step.batch = {point.batch, point.batch};
  step.strategy.tensor = point.threads, step.strategy.precision = plan::Dtype::kFp32;
  plan::Check(step);
  return step;
}

/// From the first start to the last end of a forward task, over all ranks.
double ForwardSeconds(const plan::Timeline& timeline) {
  double start = timeline.end, end = 0;
  for (const plan::Span& span : timeline.spans) {
    if (span.kind != plan::SpanKind::kTask || span.task.phase != plan::Phase::kForward) continue;
    start = std::min(start, span.start), end = std::max(end, span.end);
  }
  return end - start;
}

double Measured(const study::InstancesScenario& s, const study::Instance& point, executor::ClockKind clock) {
  const plan::Scenario step = StepOf(s, point);
  const plan::Plan plan = plan::BuildPlan(step);
  executor::RunOptions options;
  options.clock = clock, options.steps = kSteps;
  options.tokens = executor::RandomTokens(1, step.model.vocabulary);
  return ForwardSeconds(executor::Run<float>(step, plan, options).timeline);
}

}  // namespace

InferenceAnswer MeasureInstances(const std::string& path, std::size_t clock, const std::string& profile) {
  study::InstancesScenario s = study::ReadInstances(path);
  s.profile = study::PointsToMeasure(s);
  const auto kind = static_cast<executor::ClockKind>(clock);
  for (study::Instance& point : s.profile) point.seconds = Measured(s, point, kind);
  const std::string origin = "measured on this machine by its CPU executor, " + executor::ClockNames()[clock] +
                             " clock, " + kernels::GemmCoreName() + " kernels, the middle of " +
                             std::to_string(kSteps - 1);
  const std::string command = "isochrone run " + path;
  if (!profile.empty()) WriteFile(profile, study::ProfileText(s.profile, command + ": " + origin));
  const study::InstancesAnswer a = study::ChooseInstances(s);
  return {InstancesJson(s, a, origin, command), InstancesText(s, a, origin)};
}

}  // namespace isochrone::cli
