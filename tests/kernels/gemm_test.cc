#include "kernels/gemm.h"

#include <Eigen/Dense>

#include "tests/kernels/checks.h"

using namespace isochrone::kernels;
using namespace isochrone::kernels::checks;

namespace {

template <class T>
using RowMajor = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Pitched = Eigen::Map<const RowMajor<double>, 0, Eigen::OuterStride<>>;

// op(A) op(B) alpha + beta C by Eigen, in double, in an array shaped as c.
std::vector<double> Expected(Transpose a_form, Transpose b_form, Index m, Index n, Index k, double alpha,
                             const std::vector<double>& a, Index lda, const std::vector<double>& b, Index ldb,
                             double beta, std::vector<double> c, Index ldc) {
  const bool a_turned = a_form == Transpose::kYes, b_turned = b_form == Transpose::kYes;
  const Pitched a_map(a.data(), a_turned ? k : m, a_turned ? m : k, Eigen::OuterStride<>(lda));
  const Pitched b_map(b.data(), b_turned ? n : k, b_turned ? k : n, Eigen::OuterStride<>(ldb));
  Eigen::Map<RowMajor<double>, 0, Eigen::OuterStride<>> c_map(c.data(), m, n, Eigen::OuterStride<>(ldc));
  const RowMajor<double> a_op = a_turned ? RowMajor<double>(a_map.transpose()) : RowMajor<double>(a_map);
  const RowMajor<double> b_op = b_turned ? RowMajor<double>(b_map.transpose()) : RowMajor<double>(b_map);
  c_map = (alpha * a_op * b_op + beta * c_map).eval();
  return c;
}

struct Case {
  Transpose a_form, b_form;
  Index m, n, k;
  Index Lda() const { return (a_form == Transpose::kYes ? m : k) + 3; }
  Index Ldb() const { return (b_form == Transpose::kYes ? k : n) + 1; }
  Index Ldc() const { return n + 2; }
  Index SizeA() const { return (a_form == Transpose::kYes ? k : m) * Lda(); }
  Index SizeB() const { return (b_form == Transpose::kYes ? n : k) * Ldb(); }
};

std::vector<Case> Cases() {
  std::vector<Case> cases;
  for (Transpose a : {Transpose::kNo, Transpose::kYes})
    for (Transpose b : {Transpose::kNo, Transpose::kYes})
      for (auto [m, n, k] : {std::tuple{1, 1, 1}, {1, 7, 5}, {13, 1, 31}, {17, 19, 1}, {37, 41, 43}, {64, 48, 80}})
        cases.push_back({a, b, m, n, k});
  return cases;
}

}  // namespace

TEMPLATE_TEST_CASE("a product agrees with Eigen in every form, with pitches, alpha and beta", "[gemm]", float, double) {
  // k <= 80 terms of size 1: rounding grows to about sqrt(80) units.
  const double tolerance = std::is_same_v<TestType, float> ? 1e-6 : 1e-14;
  for (const Case& s : Cases()) {
    const auto a = Random(s.SizeA(), 1), b = Random(s.SizeB(), 2), c = Random(s.m * s.Ldc(), 3);
    const auto a_t = As<TestType>(a), b_t = As<TestType>(b);
    for (double beta : {0.0, 1.0, 0.5}) {
      auto c_t = As<TestType>(c);
      Gemm<TestType>(s.a_form, s.b_form, s.m, s.n, s.k, TestType(1.5), a_t.data(), s.Lda(), b_t.data(), s.Ldb(),
                     TestType(beta), c_t.data(), s.Ldc());
      CHECK(Error(AsDouble(c_t), Expected(s.a_form, s.b_form, s.m, s.n, s.k, 1.5, AsDouble(a_t), s.Lda(), AsDouble(b_t),
                                          s.Ldb(), beta, AsDouble(As<TestType>(c)), s.Ldc())) < tolerance);
    }
  }
}

TEST_CASE("a product with beta 0 does not read what was there", "[gemm]") {
  const std::vector<double> a = {1, 2}, b = {3, 4};
  double c = NAN;
  Gemm<double>(Transpose::kNo, Transpose::kNo, 1, 1, 2, 1, a.data(), 2, b.data(), 1, 0, &c, 1);
  CHECK(c == 11);
}

TEST_CASE("a product over no terms is beta C, and one of no rows does nothing", "[gemm]") {
  double c = 3;
  Gemm<double>(Transpose::kNo, Transpose::kNo, 1, 1, 0, 1, nullptr, 0, nullptr, 1, 0.5, &c, 1);
  CHECK(c == 1.5);
  Gemm<double>(Transpose::kNo, Transpose::kNo, 0, 1, 1, 1, nullptr, 1, nullptr, 1, 0, nullptr, 1);
}

TEST_CASE("a strided batch is its products one by one; stride 0 shares a matrix", "[gemm]") {
  const Index m = 5, n = 7, k = 3, batch = 4;
  const auto a = Random(batch * m * k, 1), b = Random(k * n, 2);
  std::vector<double> together(batch * m * n), alone(batch * m * n);
  GemmStridedBatched<double>(Transpose::kNo, Transpose::kNo, m, n, k, 1, a.data(), k, m * k, b.data(), n, 0, 0,
                             together.data(), n, m * n, batch);
  for (Index i = 0; i < batch; ++i)
    Gemm<double>(Transpose::kNo, Transpose::kNo, m, n, k, 1, a.data() + i * m * k, k, b.data(), n, 0,
                 alone.data() + i * m * n, n);
  CHECK(together == alone);
}

TEST_CASE("a bf16 product accumulates in float and rounds once", "[gemm]") {
  for (const Case& s : Cases()) {
    const auto a = As<Bf16>(Random(s.SizeA(), 1)), b = As<Bf16>(Random(s.SizeB(), 2));
    auto c_float = As<float>(Random(s.m * s.Ldc(), 3));
    auto c_bf16 = As<Bf16>(Random(s.m * s.Ldc(), 3));
    const auto expected_float = Expected(s.a_form, s.b_form, s.m, s.n, s.k, 1, AsDouble(a), s.Lda(), AsDouble(b),
                                         s.Ldb(), 0.5, AsDouble(c_float), s.Ldc());
    const auto expected_bf16 = Expected(s.a_form, s.b_form, s.m, s.n, s.k, 1, AsDouble(a), s.Lda(), AsDouble(b),
                                        s.Ldb(), 0.5, AsDouble(c_bf16), s.Ldc());
    std::vector<float> workspace(GemmBf16Workspace(s.m, s.n, s.k));
    GemmBf16(s.a_form, s.b_form, s.m, s.n, s.k, 1, a.data(), s.Lda(), b.data(), s.Ldb(), 0.5f, c_float.data(), s.Ldc(),
             workspace.data());
    GemmBf16(s.a_form, s.b_form, s.m, s.n, s.k, 1, a.data(), s.Lda(), b.data(), s.Ldb(), 0.5f, c_bf16.data(), s.Ldc(),
             workspace.data());
    CHECK(Error(AsDouble(c_float), expected_float) < 1e-6);
    CHECK(Error(AsDouble(c_bf16), expected_bf16) < 0x1p-8);  // half a unit in the last place of bf16 is 2^-9
  }
}

TEST_CASE("the GEMM library names the kernels that it chose", "[gemm]") { CHECK(!GemmCoreName().empty()); }
