#include "sim/serving/pools.h"

#include <algorithm>
#include <functional>
#include <queue>
#include <utility>

#include "sim/serving/stage_line.h"

namespace isochrone::sim::serving {

Served PromptPool(const PromptWork& work) {
  Served served;
  served.outcomes.resize(work.requests.size());
  std::vector<StageLine> lines(static_cast<std::size_t>(work.engines), StageLine(work.cost));
  using Turn = std::pair<double, std::size_t>;
  std::priority_queue<Turn, std::vector<Turn>, std::greater<>> free;  // when each replica can take prompts, and which
  for (std::size_t i = 0; i < lines.size(); ++i) free.push({0, i});
  for (std::size_t next = 0; next < work.requests.size();) {
    const auto [idle, line] = free.top();
    const double start = std::max(idle, work.requests[next].arrival);
    free.pop();
    plan::StepLoad load;
    const std::size_t first = next;
    for (; next < work.requests.size() && work.requests[next].arrival <= start; ++next) {
      const double prompt = PromptOf(work.requests[next]);
      const bool over = load.prompt_tokens + prompt > work.limits.token_budget ||
                        load.pieces == static_cast<double>(work.limits.sequences);
      if (load.pieces > 0 && over) break;
      load.pieces += 1, load.prompt_tokens += prompt, load.prompt_pairs += prompt * prompt / 2;
    }
    const StageLine::Passage passage = lines[line].Pass(start, load);
    served.prompt_seconds += passage.busy / static_cast<double>(work.cost.stages.size());
    ++served.steps, ++served.prompt_steps;
    for (std::size_t i = first; i < next; ++i) served.outcomes[i] = {passage.end, passage.end};
    if (work.trace) served.stretches.push_back({passage.start, passage.end, Phase::kPrompt});
    served.end = std::max(served.end, passage.end);
    free.push({lines[line].Free(), line});
  }
  return served;
}

namespace {

/// What reaches one decode engine: requests in the order in which their caches arrive.
struct Arrived {
  double time;
  std::size_t id;
  bool operator<(const Arrived& o) const { return time != o.time ? time < o.time : id < o.id; }
};

}  // namespace

Served Separated(const SeparatedWork& work) {
  Limits prompts = work.limits;
  prompts.sequences = 1'000'000;
  Served served = PromptPool({work.requests, work.prompt_cost, prompts, work.prompt_engines, work.trace});
  std::vector<Arrived> arrived;
  for (std::size_t i = 0; i < work.requests.size(); ++i) {
    const Request& r = work.requests[i];
    Outcome& o = served.outcomes[i];
    if (!Fits(r, work.limits)) o = {r.arrival, r.arrival, 0, Fate::kTooLong};
    else if (r.output > 1)
      arrived.push_back({o.first_token + work.transfer_latency + work.transfer_per_token * PromptOf(r), i});
  }
  std::sort(arrived.begin(), arrived.end());
  const auto n = static_cast<std::size_t>(work.decode_engines);
  for (std::size_t engine = 0; engine < n; ++engine) {
    std::vector<DecodeRequest> own;
    std::vector<std::size_t> ids;
    for (std::size_t i = engine; i < arrived.size(); i += n) {
      const Request& r = work.requests[arrived[i].id];
      own.push_back({arrived[i].time, PromptOf(r), r.output});
      ids.push_back(arrived[i].id);
    }
    const Served part = DecodeOnly(own, work.decode_cost, work.limits, work.trace);
    for (std::size_t i = 0; i < ids.size(); ++i) served.outcomes[ids[i]].finish = part.outcomes[i].finish;
    served.gaps.insert(served.gaps.end(), part.gaps.begin(), part.gaps.end());
    served.stretches.insert(served.stretches.end(), part.stretches.begin(), part.stretches.end());
    served.decode_seconds += part.decode_seconds, served.steps += part.steps;
    served.end = std::max(served.end, part.end);
  }
  return served;
}

}  // namespace isochrone::sim::serving
