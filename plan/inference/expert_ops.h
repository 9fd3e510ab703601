#pragma once

#include "plan/inference/step_ops.h"
#include "plan/layers/layers.h"

namespace isochrone::plan {

/// Experts of E that at least one of `tokens` tokens visits, k of them each, all equally popular.
///
///   E (1 - (1 - k/E)^T)
double TouchedExperts(const MoeSpec& moe, double tokens);

/// The mixture of experts with its norm and residual, as engines run it: every rank routes all tokens, works on its own
/// experts' (or columns') share, and one reduction over the tensor ranks adds up; with ep > 1 two all-to-alls move rows
/// to whole experts and back. Adds to `layer`.
void AppendExperts(const LayerContext& context, InferenceLayer& layer);

}  // namespace isochrone::plan
