#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "base/units.h"
#include "costmodel/profile.h"
#include "plan/scenario.h"

namespace isochrone::costmodel {

/// What a serving engine is and what it adds to its kernels, read from profiles/engines/NAME.json of the catalogue. The
/// properties say how it works; of the constants at most four differ from neutral, and the file lists what they were
/// fitted to.
struct EngineProfile {
  std::string name;
  // properties
  plan::AttentionForm attention = plan::AttentionForm::kFlash;  // of prompts
  bool graphs = true;                                           // decode steps are captured once and launched as one
  bool fuses_prompts =
      true;  // prompts (or pieces of them) and decoded tokens share steps; else prompts go first, alone
  std::int64_t token_budget = 8192;  // most tokens of a step, unless a scenario says
  bool narrow_cache = false;         // with 8-bit products or below, keys and values are kept in fp8
  // constants
  Seconds step;                      // of the host between two steps: scheduling, inputs, sampled tokens
  Seconds prompt;                    // of the host, more, for a step that holds prompts
  Seconds sequence;                  // of the host for each sequence of a step
  Seconds launch;                    // of the host for each operation of a step that is not captured
  Seconds one_shot;                  // latency of an all-reduce in which each rank reads all others'; 0: has none
  double kernel_time = 1;            // of the time of the same kernels alone
  double tensor_communication = 1;   // of the time of the same tensor collectives alone
  double attention_over_peak = 0.8;  // of the data sheet's memory bandwidth, reading keys and values
  Source source;
  std::set<std::string> fitted_rows;  // keys of the published rows that the constants were fitted to
};

/// How fast the processors beside a generation of GPUs run one thread, over those beside A100s: the times of the host
/// in a profile are those of A100 servers. Fitted with megatron_2022 (V100) and vllm_2023 (H100); Blackwell's as
/// Hopper's.
double HostSpeed(const std::string& architecture);

/// The profile of `engine` on `gpu`. Throws Error with the known names.
EngineProfile EngineOf(const std::string& engine, const plan::Gpu& gpu);

/// Names of the catalogue's engines, sorted.
std::vector<std::string> EngineNames();

/// The catalogue's engine for a published name such as "trtllm 1.0.0rc3" or "vllm 2023": the longest profile name whose
/// words begin it, else "ideal".
std::string EngineNamed(const std::string& published);

}  // namespace isochrone::costmodel
