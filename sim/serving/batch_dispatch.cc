// What waits goes at once.
#include "sim/serving/packing.h"
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
    std::vector<std::int32_t> lengths;
    const std::size_t first = next;
    for (; next < work.requests.size() && work.requests[next].arrival <= clock.Now(); ++next) {
      if (static_cast<std::int64_t>(lengths.size()) == work.limits.sequences) break;
      lengths.push_back(PromptOf(work.requests[next]));
    }
    clock.Spend(work.cost.Seconds(PromptStep(lengths, work.limits.layout)), Phase::kPrompt, 1, 0);
    for (std::size_t i = first; i < next; ++i) served.outcomes[i] = {clock.Now(), clock.Now()};
    served.end = clock.Now();
  }
  return served;
}

}  // namespace isochrone::sim::serving
