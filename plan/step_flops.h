#pragma once

#include "plan/plan.h"

namespace isochrone::plan {

/// Floating-point operations of the matrix products of one step over all ranks.
///
///   model     forward and backward, nothing recomputed
///   hardware  with what the plan recomputes
struct StepFlops {
  Flops model, hardware;
};
StepFlops FlopsOfStep(const Plan& plan);

}  // namespace isochrone::plan
