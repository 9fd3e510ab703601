#pragma once

#include <cstdint>
#include <vector>

#include "sim/serving/schedulers.h"

namespace isochrone::sim::serving {

/// Prompts alone on `engines` equal engines: the first engine to be free takes what waits, up to the token budget (one
/// prompt at least). Outcomes hold the first token only; finish is the same.
Served PromptPool(const Work& work, int engines);

/// A sequence whose prompt was computed elsewhere: its cache and first token are here from `ready` on; output ≥ 2.
struct DecodeRequest {
  double ready = 0;
  std::int32_t prompt = 1, output = 2;
};
/// Decodes them on one engine; requests sorted by `ready`. Outcomes hold the finish only. `trace`: stretches are
/// recorded.
Served DecodeOnly(const std::vector<DecodeRequest>& requests, const plan::StepCost& cost, const Limits& limits,
                  bool trace = false);

/// Prompts and decoding on engines of their own, with the cache sent from one to the other.
///
///   transfer = transfer_latency + prompt tokens transfer_per_token
///
/// Source  Zhong et al., "DistServe: disaggregating prefill and decoding for goodput-optimized large language model
///         serving", arXiv 2401.09670.
/// Assumes transfers do not share links (each decode engine has its own way in).
struct SeparatedWork {
  const std::vector<Request>& requests;
  const plan::StepCost& prompt_cost;
  const plan::StepCost& decode_cost;
  Limits limits;  // of a decode engine; the token budget is the prompt engines'
  int prompt_engines = 1, decode_engines = 1;
  double transfer_latency = 0, transfer_per_token = 0;
  bool trace = false;
};
Served Separated(const SeparatedWork& work);

/// Prompts put into one row of the step, one after the other.
struct Bin {
  double filled = 0;
  std::vector<std::size_t> members;
};

/// Longest prompt first, each into the first bin that has room. Bins in the order in which they were opened.
/// Source  Zhao et al., "Prepacking: a simple method for fast prefilling and increased throughput in large language
///         models", arXiv 2404.09529; Johnson, "Near-optimal bin packing algorithms", MIT, 1973.
std::vector<Bin> FirstFitDecreasing(const std::vector<std::int32_t>& lengths, double capacity);

/// The step of all prompts packed: attention is block-diagonal, so each prompt meets its own tokens only.
plan::StepLoad PackedPrompts(const std::vector<std::int32_t>& lengths, double capacity);
/// The step of all prompts padded to the longest.
plan::StepLoad PaddedPrompts(const std::vector<std::int32_t>& lengths);

/// Steps that pass through `stages` stages in turn. Groups of sequences take turns (step i belongs to group i mod
/// groups), and a group's next step starts when its last has left the last stage, because it needs its token.
///
///   start(i, s) = max(end(i, s-1), end(i-1, s), [s = 0] end(i - groups, last))
///
/// bubble: idle time of all stages from the first start to the end of the run, stage seconds in sum.
/// Source  Agrawal et al., SARATHI, arXiv 2308.16369, section 3.3 (bubbles PB1 to PB3).
struct PipelineRun {
  double end = 0, bubble = 0, busy = 0;
};
PipelineRun PipelineOf(const std::vector<double>& seconds, int stages, int groups);

}  // namespace isochrone::sim::serving
