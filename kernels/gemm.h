#pragma once

#include <string>

#include "kernels/types.h"

namespace isochrone::kernels {

enum class Transpose { kNo, kYes };

/// Matrix product.
///
///   C = alpha op(A) op(B) + beta C
///
/// op(A)  (m, k); A itself has pitch lda between rows, and is stored (k, m) if transposed
/// op(B)  (k, n), likewise
/// C      (m, n) with pitch ldc; not read if beta is 0; must not overlap A or B
/// Types  float, double: OpenBLAS through its C interface, so the last digits depend on the machine's kernel.
/// Limits any dimension may be 0; each fits an int.
template <class T>
void Gemm(Transpose a_form, Transpose b_form, Index m, Index n, Index k, T alpha, const T* a, Index lda, const T* b,
          Index ldb, T beta, T* c, Index ldc);

/// `batch` products of one shape; matrix i starts at a + i a_stride and so on. A stride of 0 shares a matrix.
template <class T>
void GemmStridedBatched(Transpose a_form, Transpose b_form, Index m, Index n, Index k, T alpha, const T* a, Index lda,
                        Index a_stride, const T* b, Index ldb, Index b_stride, T beta, T* c, Index ldc, Index c_stride,
                        Index batch);

/// The product with A and B stored as Bf16, computed in float; Out is float or Bf16. Needs a float workspace of
/// GemmBf16Workspace(m, n, k) elements.
template <class Out>
void GemmBf16(Transpose a_form, Transpose b_form, Index m, Index n, Index k, float alpha, const Bf16* a, Index lda,
              const Bf16* b, Index ldb, float beta, Out* c, Index ldc, float* workspace);
Index GemmBf16Workspace(Index m, Index n, Index k);

/// How many threads one GEMM may use. 1 when ranks are threads.
void SetGemmThreads(int threads);

/// The kernel set that OpenBLAS chose for this machine ("Zen", "SkylakeX", …), which a calibration records.
std::string GemmCoreName();

}  // namespace isochrone::kernels
