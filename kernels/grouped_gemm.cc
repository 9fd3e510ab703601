#include "kernels/grouped_gemm.h"

#include "kernels/vectorised.h"

namespace isochrone::kernels {

template <class T>
void GroupedGemm(Transpose b_form, Index groups, const Index* offsets, Index n, Index k, const T* a, const T* b, T* c) {
  for (Index g = 0; g < groups; ++g) {
    const Index first = offsets[g];
    Gemm<T>(Transpose::kNo, b_form, offsets[g + 1] - first, n, k, 1, a + first * k, k, b + g * k * n,
            b_form == Transpose::kYes ? k : n, 0, c + first * n, n);
  }
}

template <class T>
void GroupedGemmGradient(Index groups, const Index* offsets, Index m, Index n, const T* a, const T* b, T* c) {
  for (Index g = 0; g < groups; ++g) {
    const Index first = offsets[g];
    Gemm<T>(Transpose::kYes, Transpose::kNo, m, n, offsets[g + 1] - first, 1, a + first * m, m, b + first * n, n, 1,
            c + g * m * n, n);
  }
}

#define ISO_GROUPED_GEMM(T)                                                                           \
  template void GroupedGemm<T>(Transpose, Index, const Index*, Index, Index, const T*, const T*, T*); \
  template void GroupedGemmGradient<T>(Index, const Index*, Index, Index, const T*, const T*, T*);
ISO_FOR_REAL(ISO_GROUPED_GEMM)

}  // namespace isochrone::kernels
