#pragma once

#include <cstdint>

#include "costmodel/profile.h"
#include "plan/op.h"

namespace isochrone::costmodel {

/// Which fused-attention kernels a framework carries. Profiles are fitted to the best of their architecture: version 2
/// on Ampere, version 3 (or the vendor's equal) on Hopper, the vendor's on Blackwell.
enum class FlashGeneration : std::uint8_t { kFlash1, kFlash2, kBest };

struct AttentionPrice {
  Seconds total;
  Seconds compute, memory, launch;  // total = max(compute, memory) + launch
  Flops flops;                      // counted at the padded head size, masked tiles left out
  FlopsPerSecond rate;              // of the whole GPU at this head size
  Bytes traffic;
  int kernels = 1;  // backward: row sums, gradients, cast of dq
};

/// Time of fused attention, forward or backward, without materialised scores.
///
///   t       = max(compute, memory) + launch
///   compute = max(units unit / multiprocessors, longest)
///   unit    = prologue + 128 visited flops_per_pair / rate(D)
///
/// units           forward: B A ⌈queries/128⌉ tiles of queries; backward: B A ⌈keys/128⌉ tiles of keys
/// visited         what one tile meets on average: all keys, about half of them if causal, at most the window
/// longest         the unit that meets most; binds where heads and sequences are few
/// flops_per_pair  forward 2 (Dqk + Dv); backward 2 (3 Dqk + 2 Dv): the scores are computed again
/// rate(D)         fitted at 64, 128 and 256, linear between; D is padded to a multiple of 32, and a padded D loses
///                 13 % more to guarded loads
/// Source  Dao, "FlashAttention-2", arXiv 2307.08691; constants fitted, see profile.h. Version 1 at 0.5 of version 2
///         (same paper, section 4.1: 1.7 to 3.0 times faster); version 2 on Hopper at 0.57 forward and 0.62 backward of
///         version 3 (Shah et al., arXiv 2407.08608: 1.5 to 2.0 and 1.5 to 1.75 times faster).
AttentionPrice PriceOf(const plan::Attention& attention, const plan::Gpu& gpu, const EfficiencyProfile& profile,
                       FlashGeneration generation);

}  // namespace isochrone::costmodel
