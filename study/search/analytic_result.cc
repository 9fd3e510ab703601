#include "study/search/analytic_result.h"

#include <algorithm>
#include <numeric>

namespace isochrone::study {
namespace {

double Sum(const std::vector<double>& seconds) { return std::accumulate(seconds.begin(), seconds.end(), 0.0); }

double WorkOf(const plan::Plan& plan, const Pricing& pricing, int rank) {
  const int chunks = plan.schedule.placement.chunks;
  double sum = 0;
  for (const plan::Task& t : plan.schedule.order[static_cast<std::size_t>(rank)]) {
    const int slot = rank * chunks + t.chunk;
    sum += t.phase == plan::Phase::kOverlapped
               ? pricing.step.overlapped[static_cast<std::size_t>(slot * chunks + t.chunk_b)]
               : pricing.step.task[static_cast<std::size_t>(slot * plan::kPhases + static_cast<int>(t.phase))];
  }
  return sum;
}

}  // namespace

sim::StepResult ResultOf(const ScenarioEstimate& estimate, const plan::Plan& plan, const Pricing& pricing) {
  const Estimate& e = estimate.estimate;
  sim::StepResult result;
  result.makespan = e.step_time - e.host;
  result.peak_in_flight = plan::PeakInFlight(plan.schedule);
  for (int rank = 0; rank < plan.schedule.placement.ranks; ++rank) {
    sim::RankUse use;
    use.busy = WorkOf(plan, pricing, rank);
    use.prologue = Sum(pricing.step.prologue[static_cast<std::size_t>(rank)]);
    use.epilogue = Sum(pricing.step.epilogue[static_cast<std::size_t>(rank)]);
    double left = result.makespan - use.busy - use.prologue - use.epilogue;
    use.side = std::clamp(e.data, 0.0, std::max(0.0, left));
    left -= use.side;
    use.message = std::clamp(e.messages, 0.0, std::max(0.0, left));
    use.bubble = left - use.message;  // the parts add up to the step
    result.ranks.push_back(use);
    result.rank_begin.push_back(0);
    result.rank_end.push_back(result.makespan);
  }
  return result;
}

}  // namespace isochrone::study
