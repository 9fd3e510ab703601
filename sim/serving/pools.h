#pragma once

#include <cstdint>
#include <vector>

#include "sim/serving/schedulers.h"

namespace isochrone::sim::serving {

/// Prompts alone on `engines` equal replicas: the first whose first stage is free takes what waits, up to the token
/// budget (one prompt at least); its next follows through the stages. Outcomes hold the first token only; finish is the
/// same.
struct PromptWork {
  const std::vector<Request>& requests;
  const plan::ReplicaCost& cost;
  Limits limits;
  int engines = 1;
  bool trace = false;
};
Served PromptPool(const PromptWork& work);

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
  const plan::ReplicaCost& prompt_cost;
  const plan::StepCost& decode_cost;
  Limits limits;  // of a decode engine; the token budget is the prompt engines'
  int prompt_engines = 1, decode_engines = 1;
  double transfer_latency = 0, transfer_per_token = 0;
  bool trace = false;
};
Served Separated(const SeparatedWork& work);

}  // namespace isochrone::sim::serving
