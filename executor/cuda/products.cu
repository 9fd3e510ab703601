#include "executor/cuda/products.h"

#include <cuda_runtime.h>

#include <cstdint>
#include <string>

#include "kernels/cuda/error.h"

namespace isochrone::executor::cuda {
namespace {

constexpr std::size_t kWorkspaceBytes = std::size_t{32} << 20;  // what NVIDIA advises from Hopper on

/// The largest power of two up to 256 that divides an address.
unsigned AlignmentOf(const void* p) {
  unsigned alignment = 256;
  while (reinterpret_cast<std::uintptr_t>(p) % alignment != 0) alignment /= 2;
  return alignment;
}

cudaDataType_t TypeOf(Format format) {
  switch (format) {
    case Format::kBf16:
      return CUDA_R_16BF;
    case Format::kFp16:
      return CUDA_R_16F;
    case Format::kFloat:
      return CUDA_R_32F;
    case Format::kDouble:
      break;
  }
  return CUDA_R_64F;
}

cublasLtMatrixLayout_t Layout(Format format, Index rows, Index columns, Index pitch, Index batch, Index stride) {
  const CublasLt& lt = TheCublasLt();
  cublasLtMatrixLayout_t layout = nullptr;
  ISO_CUBLAS(lt.MatrixLayoutCreate(&layout, TypeOf(format), static_cast<std::uint64_t>(rows),
                                   static_cast<std::uint64_t>(columns), pitch));
  const auto count = static_cast<std::int32_t>(batch);
  const std::int64_t offset = stride;
  ISO_CUBLAS(lt.MatrixLayoutSetAttribute(layout, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &count, sizeof count));
  ISO_CUBLAS(lt.MatrixLayoutSetAttribute(layout, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &offset, sizeof offset));
  return layout;
}

}  // namespace

Products::Products() {
  ISO_CUBLAS(TheCublasLt().Create(&handle_));
  ISO_CUDA(cudaMalloc(&workspace_, kWorkspaceBytes));
}

Products::~Products() {
  prepared_.clear();
  cudaFree(workspace_);
  TheCublasLt().Destroy(handle_);
}

Products::Prepared::~Prepared() {
  const CublasLt& lt = TheCublasLt();
  for (const cublasLtMatrixLayout_t layout : {a, b, c})
    if (layout != nullptr) lt.MatrixLayoutDestroy(layout);
  if (operation != nullptr) lt.MatmulDescDestroy(operation);
}

/// cuBLAS stores columns side by side, we rows: it is told to compute C^T = op(B)^T op(A)^T, so A and B change places
/// and no matrix is moved.
std::unique_ptr<Products::Prepared> Products::Prepare(const Matmul& m) const {
  const CublasLt& lt = TheCublasLt();
  auto p = std::make_unique<Prepared>();
  const cublasComputeType_t compute =
      m.in == Format::kFloat && m.arithmetic == Arithmetic::kTf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;
  ISO_CUBLAS(lt.MatmulDescCreate(&p->operation, compute, CUDA_R_32F));
  const cublasOperation_t first = m.transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N;
  const cublasOperation_t second = m.transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N;
  ISO_CUBLAS(lt.MatmulDescSetAttribute(p->operation, CUBLASLT_MATMUL_DESC_TRANSA, &first, sizeof first));
  ISO_CUBLAS(lt.MatmulDescSetAttribute(p->operation, CUBLASLT_MATMUL_DESC_TRANSB, &second, sizeof second));
  if (m.bias != nullptr) {
    const cublasLtEpilogue_t epilogue = CUBLASLT_EPILOGUE_BIAS;
    ISO_CUBLAS(lt.MatmulDescSetAttribute(p->operation, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue, sizeof epilogue));
    ISO_CUBLAS(lt.MatmulDescSetAttribute(p->operation, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &m.bias, sizeof m.bias));
    const cudaDataType_t type = TypeOf(m.out);
    ISO_CUBLAS(lt.MatmulDescSetAttribute(p->operation, CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, &type, sizeof type));
  }
  p->a = m.transpose_b ? Layout(m.in, m.k, m.n, m.ldb, m.batch, m.stride_b)
                       : Layout(m.in, m.n, m.k, m.ldb, m.batch, m.stride_b);
  p->b = m.transpose_a ? Layout(m.in, m.m, m.k, m.lda, m.batch, m.stride_a)
                       : Layout(m.in, m.k, m.m, m.lda, m.batch, m.stride_a);
  p->c = Layout(m.out, m.n, m.m, m.ldc, m.batch, m.stride_c);
  Choose(m, *p);
  return p;
}

void Products::Choose(const Matmul& m, Prepared& p) const {
  const CublasLt& lt = TheCublasLt();
  cublasLtMatmulPreference_t preference = nullptr;
  ISO_CUBLAS(lt.MatmulPreferenceCreate(&preference));
  const auto set = [&](cublasLtMatmulPreferenceAttributes_t attribute, const auto& value) {
    ISO_CUBLAS(lt.MatmulPreferenceSetAttribute(preference, attribute, &value, sizeof value));
  };
  const std::uint32_t of_a = AlignmentOf(m.b), of_b = AlignmentOf(m.a), of_c = AlignmentOf(m.c);
  set(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, kWorkspaceBytes);
  set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, of_a);
  set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, of_b);
  set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, of_c);
  set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, of_c);
  cublasLtMatmulHeuristicResult_t best{};
  int found = 0;
  const cublasStatus_t status =
      lt.MatmulAlgoGetHeuristic(handle_, p.operation, p.a, p.b, p.c, p.c, preference, 1, &best, &found);
  lt.MatmulPreferenceDestroy(preference);
  ISO_CUBLAS(status);
  if (found == 0)
    throw Error("a product of " + std::to_string(m.m) + " x " + std::to_string(m.n) + " x " + std::to_string(m.k),
                "cuBLASLt has no algorithm for it", "use extents that are multiples of 8");
  p.algorithm = best.algo;
}

const Products::Prepared& Products::PreparedFor(const Matmul& m) {
  const Key key{m.transpose_a,
                m.transpose_b,
                m.beta != 0,
                m.bias != nullptr,
                m.in,
                m.out,
                m.arithmetic,
                m.m,
                m.n,
                m.k,
                m.lda,
                m.ldb,
                m.ldc,
                m.stride_a,
                m.stride_b,
                m.stride_c,
                m.batch,
                AlignmentOf(m.a),
                AlignmentOf(m.b),
                AlignmentOf(m.c)};
  std::unique_ptr<Prepared>& p = prepared_[key];
  if (!p) p = Prepare(m);
  if (m.bias != nullptr) {
    ISO_CUBLAS(
        TheCublasLt().MatmulDescSetAttribute(p->operation, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &m.bias, sizeof m.bias));
  }
  return *p;
}

void Products::Multiply(const Matmul& m, Stream stream) {
  if (m.m == 0 || m.n == 0 || m.batch == 0) return;
  const Prepared& p = PreparedFor(m);
  const float one = 1;
  ISO_CUBLAS(TheCublasLt().Matmul(handle_, p.operation, &one, m.b, p.a, m.a, p.b, &m.beta, m.c, p.c, m.c, p.c,
                                  &p.algorithm, workspace_, kWorkspaceBytes, stream));
}

}  // namespace isochrone::executor::cuda
