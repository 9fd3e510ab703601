#pragma once

#include <string>

#include "base/units.h"
#include "costmodel/attention.h"
#include "costmodel/profile.h"
#include "plan/scenario.h"

namespace isochrone::costmodel {

/// What a framework adds to its kernels. At most four fitted constants; `source` lists the rows that they were fitted
/// to.
struct FrameworkProfile {
  std::string name;
  double sustained_clock = 1;  // of the clock that short benchmarks ran at, on GEMM and attention rates
  Seconds launch;              // least time between two kernels: the host enqueues no faster
  Seconds step;                // host time per step: launch of the step, data loading, logging
  FlashGeneration flash = FlashGeneration::kBest;
  Source source;
};

/// The profile of `framework` on `gpu`. Throws Error with the known names.
FrameworkProfile FrameworkOf(const std::string& framework, const plan::Gpu& gpu, bool compiled);

/// `profile` with everything that follows the clock of the multiprocessors slowed to `clock` of it: tensor-core rates
/// and the caches that feed them. Memory keeps its own clock.
EfficiencyProfile Sustained(EfficiencyProfile profile, double clock);

}  // namespace isochrone::costmodel
