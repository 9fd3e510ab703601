#include "executor/cuda/recorded_product.h"

#include <vector>

#include "kernels/gemm.h"

namespace isochrone::executor::cuda {
namespace {

using kernels::Transpose;

/// Rows of a matrix with their pitch, as floats without one.
template <class T>
std::vector<float> Widened(const void* from, Index rows, Index columns, Index pitch) {
  const T* data = static_cast<const T*>(from);
  std::vector<float> wide(static_cast<std::size_t>(rows * columns));
  for (Index r = 0; r < rows; ++r)
    for (Index c = 0; c < columns; ++c)
      wide[static_cast<std::size_t>(r * columns + c)] = static_cast<float>(data[r * pitch + c]);
  return wide;
}

template <class In, class Out>
void Multiply(const Matmul& m, Index member) {
  const auto rows_of = [](bool transposed, Index rows, Index columns) { return transposed ? columns : rows; };
  const Index a_rows = rows_of(m.transpose_a, m.m, m.k), b_rows = rows_of(m.transpose_b, m.k, m.n);
  const Index a_columns = m.m + m.k - a_rows, b_columns = m.k + m.n - b_rows;
  const std::vector<float> a = Widened<In>(static_cast<const In*>(m.a) + member * m.stride_a, a_rows, a_columns, m.lda);
  const std::vector<float> b = Widened<In>(static_cast<const In*>(m.b) + member * m.stride_b, b_rows, b_columns, m.ldb);
  Out* out = static_cast<Out*>(m.c) + member * m.stride_c;
  std::vector<float> c(static_cast<std::size_t>(m.m * m.n));
  if (m.beta != 0) c = Widened<Out>(out, m.m, m.n, m.ldc);
  const auto form = [](bool transposed) { return transposed ? Transpose::kYes : Transpose::kNo; };
  kernels::Gemm<float>(form(m.transpose_a), form(m.transpose_b), m.m, m.n, m.k, 1, a.data(), a_columns, b.data(),
                       b_columns, m.beta, c.data(), m.n);
  const Out* bias = static_cast<const Out*>(m.bias);
  for (Index row = 0; row < m.m; ++row)
    for (Index column = 0; column < m.n; ++column) {
      const float added = bias != nullptr ? static_cast<float>(bias[column]) : 0.0f;
      out[row * m.ldc + column] = Out(c[static_cast<std::size_t>(row * m.n + column)] + added);
    }
}

}  // namespace

void MultiplyOnHost(const Matmul& m) {
  for (Index member = 0; member < m.batch; ++member) {
    WithFormat(
        m.in, [&](auto in) { WithFormat(m.out, [&](auto out) { Multiply<decltype(in), decltype(out)>(m, member); }); });
  }
}

}  // namespace isochrone::executor::cuda
