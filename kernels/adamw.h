#pragma once

#include "kernels/types.h"

namespace isochrone::kernels {

struct AdamWOptions {
  double learning_rate = 1e-3;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  double weight_decay = 0.01;
};

/// One update of a flat shard of parameters: Adam with decoupled weight decay and bias correction.
///
///   g = gradient_scale gradient
///   m = beta1 m + (1 - beta1) g,  v = beta2 v + (1 - beta2) g^2
///   parameter = parameter (1 - learning_rate weight_decay)
///               - learning_rate (m / (1 - beta1^step)) / (sqrt(v / (1 - beta2^step)) + epsilon)
///
/// step            1 for the first update
/// gradient_scale  the factor of gradient clipping (see ClipFactor), 1 for none
/// gradient, parameter, m, v  (n)
/// Types           float, double
/// Source  Loshchilov & Hutter, "Decoupled Weight Decay Regularization", arXiv:1711.05101, algorithm 2, with the
///         learning rate as the schedule's factor (as PyTorch has it).
template <class C>
void AdamW(Index n, Index step, const AdamWOptions& options, C gradient_scale, const C* gradient, C* parameter, C* m,
           C* v);

}  // namespace isochrone::kernels
