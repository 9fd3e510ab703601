#include "study/search/objective.h"

#include "costmodel/gemm.h"

namespace isochrone::study {
namespace {

constexpr double kHour = 3600, kDay = 24 * kHour;

double TokensOf(const Space& space, std::size_t base, std::int64_t sequences) {
  return static_cast<double>(sequences) * static_cast<double>(space.bases[base].model.sequence);
}

}  // namespace

double ScoreOf(const Space& space, std::size_t base, const plan::Scenario& scenario, double step_time,
               double model_flops) {
  const plan::Strategy& s = scenario.strategy;
  const double gpus = 1.0 * s.tensor * s.context * s.data * s.pipeline;
  const double tokens = TokensOf(space, base, scenario.batch.sequences);
  switch (space.objective) {
    case Objective::kStepTime:
      return step_time;
    case Objective::kTokensPerSecond:
      return step_time / tokens;
    case Objective::kTokensPerGpu:
      return step_time * gpus / tokens;
    case Objective::kMfu:
      return step_time * gpus * costmodel::PeakRate(scenario.cluster.node.gpu, s.precision).value / model_flops;
    case Objective::kCostPerToken:
      return step_time * gpus / kHour * space.gpu_hour_usd[base] / tokens;
    case Objective::kGpuHours:
      return step_time * gpus / kHour * (space.tokens / tokens);
    case Objective::kDays:
      return step_time / kDay * (space.tokens / tokens);
  }
  return step_time;
}

Training TrainingOf(const Space& space, const Candidate& candidate, double step_time) {
  const std::size_t base = BaseOf(space, candidate.index);
  Training training;
  training.steps = space.tokens / TokensOf(space, base, candidate.sequences);
  training.days = training.steps * step_time / kDay;
  training.gpu_hours = training.steps * step_time * candidate.gpus / kHour;
  training.usd = training.gpu_hours * space.gpu_hour_usd[base];
  return training;
}

double UsdPerMillionTokens(const Space& space, const Candidate& candidate, double step_time) {
  const std::size_t base = BaseOf(space, candidate.index);
  return 1e6 * step_time * candidate.gpus / kHour * space.gpu_hour_usd[base] /
         TokensOf(space, base, candidate.sequences);
}

}  // namespace isochrone::study
