#include "kernels/vector.h"

#include "kernels/bias.h"
#include "tests/kernels/checks.h"

using namespace isochrone::kernels;
using namespace isochrone::kernels::checks;

TEMPLATE_TEST_CASE("add, axpy and scale work element by element", "[vector]", float, double, Bf16) {
  using C = Compute<TestType>;
  for (Index n : {1, 3, 17, 64}) {
    const auto a = As<TestType>(Random(n, 1)), b = As<TestType>(Random(n, 2));
    std::vector<TestType> sum(n), axpy = b, scaled = a;
    Add<TestType>(n, a.data(), b.data(), sum.data());
    Axpy<TestType>(n, C(0.5), a.data(), axpy.data());
    Scale<TestType>(n, C(0.5), scaled.data());
    for (Index i = 0; i < n; ++i) {  // halving is exact, so each result is rounded once
      CHECK(C(sum[i]) == C(TestType(C(a[i]) + C(b[i]))));
      CHECK(C(axpy[i]) == C(TestType(C(b[i]) + C(0.5) * C(a[i]))));
      CHECK(C(scaled[i]) == C(0.5) * C(a[i]));
    }
  }
}

TEST_CASE("a squared norm is summed in double and keeps NaN", "[vector]") {
  std::vector<float> x(1000003, 0.1f);
  const double bound = 1000003 * 0x1p-53;  // of the relative error of n additions of one sign, in any order
  CHECK(SquaredNorm<float>(Index(x.size()), x.data()) == Approx(1000003 * double(0.1f) * double(0.1f)).epsilon(bound));
  x[77] = NAN;
  CHECK(std::isnan(SquaredNorm<float>(Index(x.size()), x.data())));
  CHECK(SquaredNorm<float>(0, nullptr) == 0);
}

TEST_CASE("a gradient within the norm is left alone, one beyond is brought down to it", "[vector]") {
  CHECK(ClipFactor(0.5, 1) == 1);
  CHECK(ClipFactor(4, 1) == Approx(0.25));
  CHECK(ClipFactor(1e9, 0) == 1);
  CHECK(std::isnan(ClipFactor(NAN, 1)));
}

TEST_CASE("casts round to the type that they go to", "[vector]") {
  const auto x = Random(37, 1);
  std::vector<float> as_float(37);
  std::vector<Bf16> as_bf16(37);
  std::vector<double> back(37);
  Cast(37, x.data(), as_float.data());
  CHECK(as_float == As<float>(x));
  Cast(37, as_float.data(), as_bf16.data());
  Cast(37, as_bf16.data(), back.data());
  for (int i = 0; i < 37; ++i) CHECK(back[i] == double(float(Bf16(float(x[i])))));
}

TEST_CASE("a bias is added to every token; its gradient is the column sum, added to", "[bias]") {
  const Index tokens = 3, width = 5;
  const auto x = Random(tokens * width, 1), bias = Random(width, 2);
  std::vector<double> out(tokens * width), dbias(width, 1);
  AddBias<double>(tokens, width, x.data(), bias.data(), out.data());
  BiasGradient<double>(tokens, width, x.data(), dbias.data());
  for (Index i = 0; i < tokens * width; ++i) CHECK(out[i] == x[i] + bias[i % width]);
  for (Index c = 0; c < width; ++c) CHECK(dbias[c] == Approx(1 + x[c] + x[width + c] + x[2 * width + c]));
}
