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

Served DealOut(const std::vector<Request>& requests, int engines,
               const std::function<Served(const std::vector<Request>& own)>& serve) {
  if (engines == 1) return serve(requests);
  Served all;
  all.outcomes.resize(requests.size());
  const auto n = static_cast<std::size_t>(engines);
  for (std::size_t engine = 0; engine < n; ++engine) {
    std::vector<Request> own;
    for (std::size_t i = engine; i < requests.size(); i += n) own.push_back(requests[i]);
    const Served part = serve(own);
    for (std::size_t i = 0; i < part.outcomes.size(); ++i) all.outcomes[engine + i * n] = part.outcomes[i];
    if (!part.bubbles.empty()) all.bubbles.resize(requests.size());
    for (std::size_t i = 0; i < part.bubbles.size(); ++i) all.bubbles[engine + i * n] = part.bubbles[i];
    all.end = std::max(all.end, part.end);
    all.prompt_seconds += part.prompt_seconds, all.decode_seconds += part.decode_seconds;
    all.bubble_seconds += part.bubble_seconds;
    all.steps += part.steps, all.prompt_steps += part.prompt_steps, all.preemptions += part.preemptions;
    all.gaps.insert(all.gaps.end(), part.gaps.begin(), part.gaps.end());
    all.stretches.insert(all.stretches.end(), part.stretches.begin(), part.stretches.end());
  }
  return all;
}

}  // namespace isochrone::sim::serving
