#include "kernels/adamw.h"

#include "kernels/vector.h"
#include "tests/kernels/checks.h"

using namespace isochrone::kernels;
using namespace isochrone::kernels::checks;

namespace {

// Algorithm 2 of the paper, written with the bias-corrected moments.
struct Reference {
  double m = 0, v = 0;
  double Step(const AdamWOptions& o, int step, double p, double g) {
    m = o.beta1 * m + (1 - o.beta1) * g;
    v = o.beta2 * v + (1 - o.beta2) * g * g;
    const double m_hat = m / (1 - std::pow(o.beta1, step)), v_hat = v / (1 - std::pow(o.beta2, step));
    return p - o.learning_rate * (m_hat / (std::sqrt(v_hat) + o.epsilon) + o.weight_decay * p);
  }
};

template <class C>
void CheckSteps(double tolerance) {
  const AdamWOptions options{3e-3, 0.9, 0.95, 1e-8, 0.1};
  for (Index n : {1, 7, 64, 131}) {
    auto p = As<C>(Random(n, 1));
    std::vector<C> m(n), v(n);
    auto expected = AsDouble(p);
    std::vector<Reference> reference(n);
    for (int step = 1; step <= 5; ++step) {
      const auto gradient = As<C>(Random(n, 10 + step));
      AdamW<C>(n, step, options, C(0.5), gradient.data(), p.data(), m.data(), v.data());
      for (Index i = 0; i < n; ++i)
        expected[i] = reference[i].Step(options, step, expected[i], 0.5 * double(gradient[i]));
    }
    CHECK(Error(AsDouble(p), expected) < tolerance);
  }
}

}  // namespace

TEST_CASE("AdamW follows the paper's algorithm over several steps", "[adamw]") {
  CheckSteps<double>(1e-14);
  CheckSteps<float>(1e-6);
}

TEST_CASE("the first AdamW step without decay moves each parameter by the learning rate", "[adamw]") {
  const std::vector<double> gradient = {5, -0.01};
  std::vector<double> p = {1, 1}, m(2), v(2);
  AdamW<double>(2, 1, {0.125, 0.9, 0.999, 0, 0}, 1, gradient.data(), p.data(), m.data(), v.data());
  CHECK(p[0] == Approx(0.875));
  CHECK(p[1] == Approx(1.125));
}

TEST_CASE("a parameter without gradient decays alone", "[adamw]") {
  double p = 2, m = 0, v = 0;
  const double gradient = 0;
  AdamW<double>(1, 1, {0.1, 0.9, 0.999, 1e-8, 0.5}, 1, &gradient, &p, &m, &v);
  CHECK(p == Approx(1.9));
}

TEST_CASE("AdamW of shards is AdamW of the whole, bit for bit where lanes align", "[adamw]") {
  const Index n = 128;
  const auto gradient = As<float>(Random(n, 2));
  auto whole = As<float>(Random(n, 1)), shards = whole;
  std::vector<float> m(n), v(n), m2(n), v2(n);
  for (Index step = 1; step <= 3; ++step) {
    AdamW<float>(n, step, {}, 1, gradient.data(), whole.data(), m.data(), v.data());
    for (Index at = 0; at < n; at += 32)
      AdamW<float>(32, step, {}, 1, gradient.data() + at, shards.data() + at, m2.data() + at, v2.data() + at);
  }
  CHECK(shards == whole);
}
