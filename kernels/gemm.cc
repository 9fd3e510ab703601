#include "kernels/gemm.h"

#include <cblas.h>

#include <limits>

#include "base/error.h"
#include "kernels/vectorised.h"

namespace isochrone::kernels {
namespace {

CBLAS_TRANSPOSE Form(Transpose form) { return form == Transpose::kYes ? CblasTrans : CblasNoTrans; }

int Int(Index v) {
  ISO_CHECK(v >= 0 && v <= std::numeric_limits<int>::max());
  return static_cast<int>(v);
}

// BLAS refuses a pitch of 0, even where a matrix has no columns.
int Pitch(Index v) { return Int(v < 1 ? 1 : v); }

void Call(CBLAS_TRANSPOSE ta, CBLAS_TRANSPOSE tb, int m, int n, int k, float alpha, const float* a, int lda,
          const float* b, int ldb, float beta, float* c, int ldc) {
  cblas_sgemm(CblasRowMajor, ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
}
void Call(CBLAS_TRANSPOSE ta, CBLAS_TRANSPOSE tb, int m, int n, int k, double alpha, const double* a, int lda,
          const double* b, int ldb, double beta, double* c, int ldc) {
  cblas_dgemm(CblasRowMajor, ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
}

template <class From, class To>
ISO_VECTORISED void CopyMatrix(Index rows, Index columns, const From* from, Index from_pitch, To* to, Index to_pitch) {
  for (Index r = 0; r < rows; ++r) {
    const From* x = from + r * from_pitch;
    To* y = to + r * to_pitch;
    ISO_SIMD
    for (Index i = 0; i < columns; ++i) Put(y[i], float(x[i]));
  }
}

}  // namespace

template <class T>
void Gemm(Transpose a_form, Transpose b_form, Index m, Index n, Index k, T alpha, const T* a, Index lda, const T* b,
          Index ldb, T beta, T* c, Index ldc) {
  if (m == 0 || n == 0) return;
  Call(Form(a_form), Form(b_form), Int(m), Int(n), Int(k), alpha, a, Pitch(lda), b, Pitch(ldb), beta, c, Pitch(ldc));
}

template <class T>
void GemmStridedBatched(Transpose a_form, Transpose b_form, Index m, Index n, Index k, T alpha, const T* a, Index lda,
                        Index a_stride, const T* b, Index ldb, Index b_stride, T beta, T* c, Index ldc, Index c_stride,
                        Index batch) {
  for (Index i = 0; i < batch; ++i)
    Gemm(a_form, b_form, m, n, k, alpha, a + i * a_stride, lda, b + i * b_stride, ldb, beta, c + i * c_stride, ldc);
}

Index GemmBf16Workspace(Index m, Index n, Index k) { return m * k + k * n + m * n; }

template <class Out>
void GemmBf16(Transpose a_form, Transpose b_form, Index m, Index n, Index k, float alpha, const Bf16* a, Index lda,
              const Bf16* b, Index ldb, float beta, Out* c, Index ldc, float* workspace) {
  const bool a_turned = a_form == Transpose::kYes, b_turned = b_form == Transpose::kYes;
  const Index a_columns = a_turned ? m : k, b_columns = b_turned ? k : n;
  float* a_float = workspace;
  float* b_float = a_float + m * k;
  float* c_float = b_float + k * n;
  CopyMatrix(a_turned ? k : m, a_columns, a, lda, a_float, a_columns);
  CopyMatrix(b_turned ? n : k, b_columns, b, ldb, b_float, b_columns);
  if (beta != 0) CopyMatrix(m, n, c, ldc, c_float, n);
  Gemm(a_form, b_form, m, n, k, alpha, a_float, a_columns, b_float, b_columns, beta, c_float, n);
  CopyMatrix(m, n, c_float, n, c, ldc);
}

void SetGemmThreads(int threads) { openblas_set_num_threads(threads); }

std::string GemmCoreName() { return openblas_get_corename(); }

#define ISO_GEMM(T)                                                                                                    \
  template void Gemm<T>(Transpose, Transpose, Index, Index, Index, T, const T*, Index, const T*, Index, T, T*, Index); \
  template void GemmStridedBatched<T>(Transpose, Transpose, Index, Index, Index, T, const T*, Index, Index, const T*,  \
                                      Index, Index, T, T*, Index, Index, Index);
ISO_FOR_REAL(ISO_GEMM)
#define ISO_GEMM_BF16(Out)                                                                                       \
  template void GemmBf16<Out>(Transpose, Transpose, Index, Index, Index, float, const Bf16*, Index, const Bf16*, \
                              Index, float, Out*, Index, float*);
ISO_GEMM_BF16(float)
ISO_GEMM_BF16(Bf16)

}  // namespace isochrone::kernels
