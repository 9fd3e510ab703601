#pragma once

#include "kernels/router.h"
#include "kernels/types.h"

namespace isochrone::kernels {

/// Where each assignment goes when rows are sorted by expert, keeping their order within one.
///
/// chosen   (assignments)  assignment t k + j is choice j of token t
/// offsets  (E + 1)        rows of expert e are [offsets[e], offsets[e+1])
/// row_of   (assignments)  -1 for a dropped one
void PlanPermutation(Index assignments, Index experts, const ExpertId* chosen, Index* offsets, Index* row_of);

///   out[row_of[t k + j]] = x[t]
///
/// x    (T, H)
/// out  (rows, H)  rows = offsets[E]
template <class T>
void Permute(Index tokens, Index k, Index hidden, const Index* row_of, const T* x, T* out);

///   dx[t] = sum_j dout[row_of[t k + j]];  with k = 1 the inverse of Permute
template <class T>
void PermuteBackward(Index tokens, Index k, Index hidden, const Index* row_of, const T* dout, T* dx);

/// Brings the experts' outputs back to their tokens.
///
///   out[t] = sum_j weight[t,j] y[row_of[t k + j]]
///
/// y       (rows, H)
/// weight  (T, k)
/// out     (T, H)  0 for a token whose assignments were all dropped
template <class T>
void Combine(Index tokens, Index k, Index hidden, const Index* row_of, const Compute<T>* weight, const T* y, T* out);

///   dy[row_of[t k + j]] = weight[t,j] dout[t],  dweight[t,j] = dout[t] . y[row_of[t k + j]], 0 for a dropped one
template <class T>
void CombineBackward(Index tokens, Index k, Index hidden, const Index* row_of, const Compute<T>* weight, const T* y,
                     const T* dout, T* dy, Compute<T>* dweight);

}  // namespace isochrone::kernels
