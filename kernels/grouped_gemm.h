#pragma once

#include "kernels/gemm.h"
#include "kernels/types.h"

namespace isochrone::kernels {

// Products of groups of rows with a matrix each: the experts of a mixture. Rows [offsets[g], offsets[g+1]) belong to
// group g (see PlanPermutation). Types float, double. Source  Gale et al., "MegaBlocks", arXiv:2211.15841, section 4.

///   c[r] = a[r] op(b_g)  for the rows r of group g
///
/// offsets  (groups + 1)
/// a        (rows, k)
/// b        (groups, k, n), or (groups, n, k) if transposed
/// c        (rows, n)
template <class T>
void GroupedGemm(Transpose b_form, Index groups, const Index* offsets, Index n, Index k, const T* a, const T* b, T* c);

///   c_g += sum over the rows r of group g of a[r]^T b[r]
///
/// a  (rows, m);  b  (rows, n);  c  (groups, m, n)
template <class T>
void GroupedGemmGradient(Index groups, const Index* offsets, Index m, Index n, const T* a, const T* b, T* c);

}  // namespace isochrone::kernels
