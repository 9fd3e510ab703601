#pragma once

#include "kernels/types.h"

namespace isochrone::kernels {

// Cross-entropy of a vocabulary that is spread over ranks, in phases with a reduction between them:
//
//   LogitMax          then all-reduce `max` by maximum
//   LogitSums         then all-reduce `sum` and `target_logit` by addition
//   CrossEntropyLoss  and CrossEntropyGradient from the global values
//
// logits        (T, V of this shard), columns [first, first + width) of the vocabulary
// targets       (T)
// max, sum, target_logit, loss, weight  (T)
// Source  Shoeybi et al., "Megatron-LM", arXiv:1909.08053, section 3 (parallel cross-entropy).

///   max[t] = max_c logits[t,c]
template <class T>
void LogitMax(Index tokens, Index width, const T* logits, Compute<T>* max);

///   sum[t]          = sum_c e^(logits[t,c] - max[t])
///   target_logit[t] = logits[t, targets[t] - first] if the target is in this shard, 0 if not
template <class T>
void LogitSums(Index tokens, Index width, Index first, const T* logits, const TokenId* targets, const Compute<T>* max,
               Compute<T>* sum, Compute<T>* target_logit);

///   loss[t] = log(sum[t]) + max[t] - target_logit[t]
/// Types float, double.
template <class C>
void CrossEntropyLoss(Index tokens, const C* max, const C* sum, const C* target_logit, C* loss);

///   dlogits[t,c] = weight[t] (e^(logits[t,c] - max[t]) / sum[t] - [first + c = targets[t]])
///
/// weight   what the token's loss counts in the total: 1/T for a mean, 0 for a token that is masked out
/// dlogits  (T, width)  may be logits
template <class T>
void CrossEntropyGradient(Index tokens, Index width, Index first, const T* logits, const TokenId* targets,
                          const Compute<T>* max, const Compute<T>* sum, const Compute<T>* weight, T* dlogits);

}  // namespace isochrone::kernels
