#pragma once

#include "executor/cuda/calls.h"

namespace isochrone::executor::cuda {

/// The product on the CPU: numbers of either format widened to float, the sum in float, the result rounded once, as
/// tensor cores do it. TF32 keeps all bits.
void MultiplyOnHost(const Matmul& matmul);

}  // namespace isochrone::executor::cuda
