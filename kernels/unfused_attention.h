#pragma once

#include "kernels/attention.h"
#include "kernels/types.h"

namespace isochrone::kernels {

// Attention in three steps that store their results: scores, MaskedSoftmax (kernels/softmax.h), context. This is what
// frameworks without a fused kernel run. Types float and double. Scores and probabilities are (B, A, Sq, Sk).

///   scores[b,a,i,j] = q[b,i,a] . k[b,j,a / group]
template <class T>
void AttentionScores(const AttentionShape& shape, const T* q, const T* k, T* scores);

///   dq = dscores k,  dk = sum over the heads of a group of dscores^T q;  both written, pitched as q and k
template <class T>
void AttentionScoresBackward(const AttentionShape& shape, const T* dscores, const T* q, const T* k, T* dq, T* dk);

///   out[b,i,a] = sum_j probabilities[b,a,i,j] v[b,j,a / group]
template <class T>
void AttentionContext(const AttentionShape& shape, const T* probabilities, const T* v, T* out);

///   dprobabilities = dout v^T,  dv = sum over the heads of a group of probabilities^T dout;  both written
template <class T>
void AttentionContextBackward(const AttentionShape& shape, const T* dout, const T* probabilities, const T* v,
                              T* dprobabilities, T* dv);

}  // namespace isochrone::kernels
