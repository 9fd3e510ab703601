#pragma once

#include "plan/inference/inference_scenario.h"
#include "plan/inference/step_cost.h"

namespace isochrone::costmodel {

/// What one GPU draws during a step, in parts: `clocked` falls with the clock of the multiprocessors, the others do
/// not.
struct PowerDraw {
  double idle = 0, clocked = 0, unclocked = 0;  // W
  double Watts() const { return idle + clocked + unclocked; }
};

/// Power of the clocked part at a clock of c (1: full) is c to this power of what it is at full clock: with it the
/// prompts of a capped A100 draw a fifth less at 1110 of 1410 MHz, as Patel et al. report (section 4).
inline constexpr double kClockExponent = 1.2;

/// Mean power of one GPU during a step.
///
///   P = limit min(1, idle + c^e (arithmetic u_a + memory s u_m) + memory (1 - s) u_m)
///
/// u_a   flops of the step over peak rate and time, over the share that real prompts reach (0.6)
/// u_m   bytes (weights once, the cache of decoded sequences) over bandwidth and time
/// c, e  clock of the multiprocessors over the full one; kClockExponent
/// s     share of a full memory stream that multiprocessors and caches draw: HBM2e at 2 TB/s and about 4 pJ/bit takes
///       65 W of the 160 W above idle that an A100 draws then, so about half
/// idle, arithmetic, memory   0.2, 0.75, 0.4
/// Source  shape: Patel et al., "POLCA: Power Oversubscription in LLM Cloud Providers", arXiv 2308.12908, figures 4 to
///         6: prompt phases draw the limit (or more, for moments), token phases well below it and almost independent of
///         the batch. The shares are assumed, not measured.
struct PowerModel {
  double limit = 0;                      // W, of the data sheet
  double clock = 1;                      // of the multiprocessors, over the full one
  double peak_flops = 0, bandwidth = 0;  // at that clock
  double flops_per_token = 0, flops_per_pair = 0;
  double weight_bytes = 0, bytes_per_cached = 0;

  PowerDraw Draw(const plan::StepLoad& load, double seconds) const;
  double Watts(const plan::StepLoad& load, double seconds) const { return Draw(load, seconds).Watts(); }
};

/// Of a GPU of the fullest stage.
PowerModel PowerOf(const plan::InferenceScenario& scenario);

}  // namespace isochrone::costmodel
