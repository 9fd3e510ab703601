#pragma once

#include "plan/op.h"

namespace isochrone::plan {

/// What the kernel of an op takes on a CPU while it works, beside the op's buffers (executor/compute_*.cc). With T
/// tokens of B sequences, A heads of size D:
///
///   attention   2 min(64, q) min(128, k) + 64 D + 128 + q for q queries and k keys: one tile
///   scan        2 T A + A + B A (C + 1) N D + 2 n^2 + 4 n N + N D + 6 n for N states and C chunks of n tokens in a
///               sequence: step sizes, the state between chunks, the pieces of one; backward T A D + T A + A more
///   convolution w K for w taps and K channels: the weights turned around; backward 2 w K + T K more
///   route       T E for E experts, backward T k more
///   activation of experts, backward: its result, made again
Bytes CpuKernelWorkspace(const Op& op);

}  // namespace isochrone::plan
