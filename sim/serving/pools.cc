#include "sim/serving/pools.h"

#include <algorithm>
#include <functional>
#include <numeric>
#include <queue>

namespace isochrone::sim::serving {

Served PromptPool(const Work& work, int engines) {
  Served served;
  served.outcomes.resize(work.requests.size());
  std::priority_queue<double, std::vector<double>, std::greater<>> free;  // when each engine is idle again
  for (int i = 0; i < engines; ++i) free.push(0);
  for (std::size_t next = 0; next < work.requests.size();) {
    const double start = std::max(free.top(), work.requests[next].arrival);
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
    const double seconds = work.cost.Seconds(load);
    served.prompt_seconds += seconds, ++served.steps;
    if (work.trace) served.stretches.push_back({start, start + seconds, Phase::kPrompt});
    for (std::size_t i = first; i < next; ++i) served.outcomes[i] = {start + seconds, start + seconds};
    served.end = std::max(served.end, start + seconds);
    free.push(start + seconds);
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
  Served served = PromptPool({work.requests, work.prompt_cost, prompts, work.trace}, work.prompt_engines);
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

std::vector<Bin> FirstFitDecreasing(const std::vector<std::int32_t>& lengths, double capacity) {
  std::vector<std::size_t> order(lengths.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return lengths[a] > lengths[b]; });
  std::vector<Bin> bins;
  for (const std::size_t i : order) {
    const double length = lengths[i];
    auto bin = std::find_if(bins.begin(), bins.end(), [&](const Bin& b) { return b.filled + length <= capacity; });
    if (bin == bins.end()) bin = bins.insert(bins.end(), Bin{});
    bin->filled += length;
    bin->members.push_back(i);
  }
  return bins;
}

plan::StepLoad PackedPrompts(const std::vector<std::int32_t>& lengths, double capacity) {
  plan::StepLoad load;
  load.pieces = static_cast<double>(FirstFitDecreasing(lengths, capacity).size());
  for (const double length : lengths) load.prompt_tokens += length, load.prompt_pairs += length * length / 2;
  return load;
}

plan::StepLoad PaddedPrompts(const std::vector<std::int32_t>& lengths) {
  plan::StepLoad load;
  if (lengths.empty()) return load;
  const double longest = *std::max_element(lengths.begin(), lengths.end()), n = static_cast<double>(lengths.size());
  load.pieces = n, load.prompt_tokens = n * longest, load.prompt_pairs = n * longest * longest / 2;
  return load;
}

PipelineRun PipelineOf(const std::vector<double>& seconds, int stages, int groups) {
  const auto s = static_cast<std::size_t>(stages), g = static_cast<std::size_t>(groups);
  std::vector<double> free(s, 0);               // when each stage is idle again
  std::vector<double> left(seconds.size(), 0);  // when each step left the last stage
  PipelineRun run;
  for (std::size_t i = 0; i < seconds.size(); ++i) {
    double ready = i >= g ? left[i - g] : 0;
    for (std::size_t stage = 0; stage < s; ++stage) {
      ready = std::max(ready, free[stage]) + seconds[i];
      free[stage] = ready;
      run.busy += seconds[i];
    }
    left[i] = ready;
    run.end = std::max(run.end, ready);
  }
  // A stage's idle time counts from the run's start; stages after the first also wait while the pipeline fills.
  run.bubble = static_cast<double>(stages) * run.end - run.busy;
  return run;
}

}  // namespace isochrone::sim::serving
