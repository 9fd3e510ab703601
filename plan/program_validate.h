#pragma once

#include "plan/program.h"

namespace isochrone::plan {

/// Proves of one layer program that it can run:
///
///   - ops name buffers that exist and wait only for ops before them in their list;
///   - a pass reads only what enters it, what an op before wrote, and what the forward pass keeps for the microbatch;
///   - backward-input and then backward-weight do the same ops as backward;
///   - every parameter of the layer gets a gradient;
///   - what is kept is read again, so nothing lives longer than it is needed.
///
/// Throws  Error with the program, the pass and the op.
void Validate(const LayerProgram& program);

}  // namespace isochrone::plan
