#pragma once

#include <functional>
#include <string>
#include <vector>

#include "plan/inference/step_cost.h"
#include "sim/serving/request.h"

namespace isochrone::sim::serving {

/// Requests sorted by arrival, the price of a step and the limits of one engine. `trace`: stretches are recorded.
struct Work {
  const std::vector<Request>& requests;
  const plan::StepCost& cost;
  Limits limits;
  bool trace = false;
};

// Each scheduler serves all requests, first come first served, and is deterministic: the same work gives the same
// bytes. Between two events nothing is stepped through: a run of decode steps with an unchanged batch is priced in
// closed form.

/// A batch is formed when the engine is idle, of all that wait (at most limits.sequences), and leaves as one: prompts
/// together, then decoding until the longest answer ends. Source  NVIDIA FasterTransformer.
Served StaticBatch(const Work& work);

/// Requests join and leave at every step; a request reserves the cache for its whole answer when it joins.
/// Source  Yu et al., "Orca: a distributed serving system for transformer-based generative models", OSDI 2022.
Served Continuous(const Work& work);

/// Cache in pages, taken as sequences grow. When no page is left, the sequence that joined last gives its own up and
/// waits in front of the queue; its tokens so far are computed again as a prompt.
/// Source  Kwon et al., "Efficient memory management for large language model serving with PagedAttention", SOSP 2023.
Served Paged(const Work& work);

/// Every step decodes all sequences first and fills what the token budget leaves with pieces of prompts.
/// Source  Agrawal et al., SARATHI, arXiv 2308.16369, and Sarathi-Serve, arXiv 2403.02310.
Served Chunked(const Work& work);

/// As many prompts as wait (at most limits.sequences) go at once, the moment the engine is idle; nothing is decoded.
/// Source  Amodei et al., "Deep Speech 2", arXiv 1512.02595, section 7.1: batch dispatch.
Served BatchDispatch(const Work& work);

enum class Scheduler : std::uint8_t { kStatic, kContinuous, kPaged, kChunked, kBatchDispatch };
const std::vector<std::string>& SchedulerNames();
Served Serve(Scheduler scheduler, const Work& work);

/// Several equal engines: requests are dealt out in turn, and serve(own) is what one engine makes of its own. Outcomes
/// in the order of requests.
Served DealOut(const std::vector<Request>& requests, int engines,
               const std::function<Served(const std::vector<Request>& own)>& serve);

}  // namespace isochrone::sim::serving
