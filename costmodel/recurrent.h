#pragma once

#include "costmodel/gemm.h"
#include "costmodel/profile.h"
#include "plan/op.h"

namespace isochrone::costmodel {

/// Time of ops that mix many small products with streaming, priced from the same curves as their parts.
struct MixedPrice {
  Seconds total;
  Seconds compute, memory, launch;  // total = max(compute, memory) + launch, summed over the parts
  int kernels = 1;
};

/// Mamba-2 scan in chunks of Q: per chunk and head 2 Q² (N + P) + 4 Q N P flops (N state, P head size; the first
/// product once per group), at 0.35 of the GEMM rate because the products are one tile deep; backward 2.5 times.
/// Source  Dao & Gu, "Transformers are SSMs", arXiv 2405.21060, section 6. The 0.35 is assumed, not measured.
MixedPrice PriceOf(const plan::Scan& op, const plan::Gpu& gpu, const EfficiencyProfile& profile);

/// 2-D convolution as an implicit GEMM: m = B H' W', n = channels out, k = channels in · kernel; backward is both
/// gradients. A depthwise one streams: forward 2, backward 4 passes over its input.
/// Source  Chetlur et al., "cuDNN: Efficient Primitives for Deep Learning", arXiv 1410.0759.
MixedPrice PriceOf(const plan::Convolution& op, const plan::Gpu& gpu, const EfficiencyProfile& profile,
                   const GemmModel& gemm);

/// `steps` dependent products of (batch, hidden) by (hidden, gates · hidden), and as many for the gradient, whose
/// weights' part is one deep product at the end. Two directions run one after the other.
MixedPrice PriceOf(const plan::Recurrent& op, const GemmModel& gemm);

}  // namespace isochrone::costmodel
