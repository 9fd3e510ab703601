// Sequences whose prompts were computed elsewhere.
#include "sim/serving/pools.h"
#include "sim/serving/running_set.h"

namespace isochrone::sim::serving {

Served DecodeOnly(const std::vector<DecodeRequest>& requests, const plan::StepCost& cost, const Limits& limits,
                  bool trace) {
  Served served;
  served.outcomes.resize(requests.size());
  Clock clock(served, trace);
  RunningSet running;
  double reserved = 0;
  std::size_t next = 0;
  const auto length = [&](std::size_t i) { return static_cast<double>(requests[i].prompt) + requests[i].output; };
  const auto has_room = [&](std::size_t i) {
    return running.Size() < limits.sequences && reserved + length(i) <= limits.cache_tokens;
  };
  while (next < requests.size() || !running.Empty()) {
    if (running.Empty()) clock.WaitUntil(requests[next].ready);
    for (; next < requests.size() && requests[next].ready <= clock.Now() && has_room(next); ++next) {
      reserved += length(next);
      running.Join(static_cast<std::int32_t>(next), requests[next].output - 1, requests[next].prompt + 1);
    }
    const auto n = static_cast<double>(running.Size());
    std::int64_t steps = running.StepsToNextEnd();
    if (next < requests.size() && has_room(next)) {
      const double wait = requests[next].ready - clock.Now();
      if (cost.DecodeRun(n, running.Cached(), static_cast<double>(steps)) > wait)
        steps = StepsLasting(cost, n, running.Cached(), wait);
    }
    clock.Spend(cost.DecodeRun(n, running.Cached(), static_cast<double>(steps)), Phase::kDecode, steps, n);
    running.Advance(steps);
    running.TakeEnded([&](std::int32_t id) {
      const auto i = static_cast<std::size_t>(id);
      served.outcomes[i].finish = clock.Now();
      reserved -= length(i);
      return length(i);
    });
  }
  served.end = clock.Now();
  return served;
}

}  // namespace isochrone::sim::serving
