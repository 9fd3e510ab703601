#pragma once

#include <cstdint>

#include "kernels/types.h"

namespace isochrone::kernels {

using ExpertId = std::int32_t;
/// An assignment that went over an expert's capacity.
inline constexpr ExpertId kDropped = -1;

/// Chooses k experts for every token.
///
///   p[t]       = softmax(logits[t])
///   chosen[t]  = the k experts of largest p[t,e] + bias[e], largest first; ties to the lower expert
///   weight[t,j] = p[t, chosen[t,j]], divided by their sum over j if `renormalise`
///
/// logits         (T, E)
/// bias           (E) or null; it moves the choice and never the weight, so no auxiliary loss is needed
/// probabilities  (T, E)  kept for the backward pass
/// chosen, weight (T, k)
/// Source  Shazeer et al., arXiv:1701.06538, section 2.1; bias: Wang et al., "Auxiliary-Loss-Free Load Balancing
///         Strategy for Mixture-of-Experts", arXiv:2408.15664, equation 3.
template <class T>
void RouteTopK(Index tokens, Index experts, Index k, bool renormalise, const T* logits, const Compute<T>* bias,
               Compute<T>* probabilities, ExpertId* chosen, Compute<T>* weight);

/// The same for a choice that was made before: probabilities and weights only.
///
/// chosen  (T, k)  experts of each token, all different
template <class T>
void RouteChosen(Index tokens, Index experts, Index k, bool renormalise, const T* logits, const ExpertId* chosen,
                 Compute<T>* probabilities, Compute<T>* weight);

/// Gradient of the weights with respect to the logits; the choice itself has none.
///
///   dp[t, chosen[t,j]] = dweight[t,j],  or (dweight[t,j] - sum_i dweight[t,i] weight[t,i]) / sum_i p[t, chosen[t,i]]
///   dlogits            = p (dp - sum_e dp p)
///
/// chosen  as RouteTopK left it; an assignment that was dropped has a dweight of 0 (see CombineBackward)
template <class T>
void RouteTopKBackward(Index tokens, Index experts, Index k, bool renormalise, const Compute<T>* probabilities,
                       const ExpertId* chosen, const Compute<T>* weight, const Compute<T>* dweight, T* dlogits);

/// Drops assignments beyond an expert's capacity, first come first served.
///
/// chosen  (assignments)  in token order
/// kept    (assignments)  chosen, with kDropped for those over capacity; may be chosen
/// taken   (E)            assignments that came before (of earlier ranks), raised by those of this call, dropped or
///                        not: so capacity is decided for the whole batch, whatever the sharding
/// Source  Fedus, Zoph & Shazeer, "Switch Transformers", arXiv:2101.03961, section 2.2.
void DropOverCapacity(Index assignments, Index capacity, const ExpertId* chosen, ExpertId* kept, Index* taken);

/// Moves the bias of each expert towards an even load.
///
///   bias[e] += rate sign(mean(load) - load[e])
///
/// load    (E)  assignments of each expert over the whole batch
/// Source  Wang et al., algorithm 1.
template <class C>
void UpdateRouterBias(Index experts, C rate, const Index* load, C* bias);

}  // namespace isochrone::kernels
