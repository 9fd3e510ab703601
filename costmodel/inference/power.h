#pragma once

#include "plan/inference/inference_scenario.h"
#include "plan/inference/step_cost.h"

namespace isochrone::costmodel {

/// Mean power of one GPU during a step.
///
///   P = limit min(1, idle + arithmetic u_a + memory u_m)
///
/// u_a   flops of the step over peak rate and time, over the share that real prompts reach (0.6)
/// u_m   bytes (weights once, the cache of decoded sequences) over bandwidth and time
/// idle, arithmetic, memory   0.2, 0.75, 0.4
/// Source  shape: Patel et al., "POLCA: Power Oversubscription in LLM Cloud Providers", arXiv 2308.12908, figures 4 to
/// 6:
///         prompt phases draw the limit (or more, for moments), token phases well below it and almost independent of
///         the batch. The three shares are assumed, not measured.
struct PowerModel {
  double limit = 0;  // W, of the data sheet
  double peak_flops = 0, bandwidth = 0;
  double flops_per_token = 0, flops_per_pair = 0;
  double weight_bytes = 0, bytes_per_cached = 0;

  double Watts(const plan::StepLoad& load, double seconds) const;
};

/// Of a GPU of the fullest stage.
PowerModel PowerOf(const plan::InferenceScenario& scenario);

}  // namespace isochrone::costmodel
