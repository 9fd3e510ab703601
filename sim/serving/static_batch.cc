// A batch is formed when the engine is idle and leaves as one.
#include "sim/serving/packing.h"
#include "sim/serving/running_set.h"
#include "sim/serving/schedulers.h"

namespace isochrone::sim::serving {
namespace {

/// Requests [from, to) that were not turned away, as one batch.
struct Batch {
  plan::StepLoad prompts;
  double longest = 0, cached = 0;  // answer; tokens that the prompts leave
  std::vector<std::int32_t> lengths;
  std::vector<std::size_t> members;
};

Batch Form(const Work& work, Served& served, double now, std::size_t& next) {
  Batch batch;
  double reserved = 0;
  for (; next < work.requests.size(); ++next) {
    const Request& r = work.requests[next];
    if (!batch.members.empty() && r.arrival > now) break;
    if (static_cast<std::int64_t>(batch.members.size()) == work.limits.sequences) break;
    if (!Fits(r, work.limits)) {
      served.outcomes[next] = {r.arrival, r.arrival, 0, Fate::kTooLong};
      continue;
    }
    const double prompt = PromptOf(r);
    if (reserved + prompt + r.output > work.limits.cache_tokens) break;
    reserved += prompt + r.output;
    now = std::max(now, r.arrival);
    batch.lengths.push_back(PromptOf(r)), batch.cached += prompt;
    batch.longest = std::max(batch.longest, static_cast<double>(r.output));
    batch.members.push_back(next);
  }
  batch.prompts = PromptStep(batch.lengths, work.limits.layout);
  if (work.limits.layout == PromptLayout::kPadded) batch.cached = batch.prompts.prompt_tokens;
  return batch;
}

}  // namespace

Served StaticBatch(const Work& work) {
  Served served;
  served.outcomes.resize(work.requests.size());
  Clock clock(served, work.trace);
  for (std::size_t next = 0; next < work.requests.size();) {
    const Batch batch = Form(work, served, clock.Now(), next);
    if (batch.members.empty()) continue;
    clock.WaitUntil(work.requests[batch.members.front()].arrival);
    clock.Spend(work.cost.Seconds(batch.prompts), Phase::kPrompt, 1, 0);
    const double first = clock.Now(), n = batch.prompts.pieces, cached = batch.cached + n;
    for (const std::size_t i : batch.members) {
      const double steps = std::max(0, work.requests[i].output - 1);
      served.outcomes[i] = {first, steps > 0 ? first + work.cost.DecodeRun(n, cached, steps) : first};
    }
    if (batch.longest > 1) {
      const double steps = batch.longest - 1;
      clock.Spend(work.cost.DecodeRun(n, cached, steps), Phase::kDecode, static_cast<std::int64_t>(steps), n);
    }
    served.end = clock.Now();
  }
  return served;
}

}  // namespace isochrone::sim::serving
