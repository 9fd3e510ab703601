// What waits goes at once.
#include "sim/serving/running_set.h"
#include "sim/serving/schedulers.h"

namespace isochrone::sim::serving {

Served BatchDispatch(const Work& work) {
  Served served;
  served.outcomes.resize(work.requests.size());
  Clock clock(served, work.trace);
  std::size_t next = 0;
  while (next < work.requests.size()) {
    clock.WaitUntil(work.requests[next].arrival);
    plan::StepLoad load;
    const std::size_t first = next;
    for (; next < work.requests.size() && work.requests[next].arrival <= clock.Now(); ++next) {
      if (load.pieces == static_cast<double>(work.limits.sequences)) break;
      const double prompt = PromptOf(work.requests[next]);
      load.pieces += 1, load.prompt_tokens += prompt, load.prompt_pairs += prompt * prompt / 2;
    }
    clock.Spend(work.cost.Seconds(load), Phase::kPrompt, 1, 0);
    for (std::size_t i = first; i < next; ++i) served.outcomes[i] = {clock.Now(), clock.Now()};
    served.end = clock.Now();
  }
  return served;
}

}  // namespace isochrone::sim::serving
