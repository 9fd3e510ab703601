#include "sim/serving/schedulers.h"

#include <algorithm>

namespace isochrone::sim::serving {

const std::vector<std::string>& SchedulerNames() {
  static const std::vector<std::string> names = {"static", "continuous", "paged", "chunked", "batch_dispatch"};
  return names;
}

Served Serve(Scheduler scheduler, const Work& work) {
  switch (scheduler) {
    case Scheduler::kStatic:
      return StaticBatch(work);
    case Scheduler::kContinuous:
      return Continuous(work);
    case Scheduler::kPaged:
      return Paged(work);
    case Scheduler::kChunked:
      return Chunked(work);
    case Scheduler::kBatchDispatch:
      return BatchDispatch(work);
  }
  return {};
}

Served ServeOnAll(Scheduler scheduler, const Work& work, int engines) {
  if (engines == 1) return Serve(scheduler, work);
  Served all;
  all.outcomes.resize(work.requests.size());
  const auto n = static_cast<std::size_t>(engines);
  for (std::size_t engine = 0; engine < n; ++engine) {
    std::vector<Request> own;
    for (std::size_t i = engine; i < work.requests.size(); i += n) own.push_back(work.requests[i]);
    Served part = Serve(scheduler, {own, work.cost, work.limits, work.trace});
    for (std::size_t i = 0; i < part.outcomes.size(); ++i) all.outcomes[engine + i * n] = part.outcomes[i];
    all.end = std::max(all.end, part.end);
    all.prompt_seconds += part.prompt_seconds, all.decode_seconds += part.decode_seconds;
    all.steps += part.steps, all.preemptions += part.preemptions;
    all.gaps.insert(all.gaps.end(), part.gaps.begin(), part.gaps.end());
    all.stretches.insert(all.stretches.end(), part.stretches.begin(), part.stretches.end());
  }
  return all;
}

}  // namespace isochrone::sim::serving
