#include "kernels/gated_norm.h"

#include "tests/kernels/checks.h"

using namespace isochrone::kernels;
using namespace isochrone::kernels::checks;

namespace {

constexpr double kEpsilon = 1e-5;

template <class T>
struct Gated {
  GatedNormShape s{.tokens = 5, .width = 12, .groups = 3, .gate_pitch = 15};
  std::vector<T> y = As<T>(Random(s.tokens * s.width, 1)), gate = As<T>(Random(s.tokens * s.gate_pitch, 2)),
                 weight = As<T>(Random(s.width, 3)), out = std::vector<T>(y.size());

  std::vector<double> Run() {
    GatedRmsNorm<T>(s, Compute<T>(kEpsilon), y.data(), gate.data(), weight.data(), out.data());
    return AsDouble(out);
  }
  // The formula of the header, in double.
  std::vector<double> Formula() const {
    std::vector<double> result;
    const Index width = s.width / s.groups;
    const auto scaled = [&](Index t, Index c) {
      const double z = double(Compute<T>(gate[t * s.gate_pitch + c]));
      return double(Compute<T>(y[t * s.width + c])) * z / (1 + std::exp(-z));
    };
    for (Index t = 0; t < s.tokens; ++t)
      for (Index c = 0; c < s.width; ++c) {
        double squares = 0;
        for (Index k = c / width * width; k < (c / width + 1) * width; ++k) squares += scaled(t, k) * scaled(t, k);
        result.push_back(double(Compute<T>(weight[c])) * scaled(t, c) / std::sqrt(squares / double(width) + kEpsilon));
      }
    return result;
  }
};

}  // namespace

TEST_CASE("a gated norm scales by the gate and then normalises each group", "[kernels]") {
  Gated<double> exact;
  CHECK(Error(exact.Run(), exact.Formula()) < 1e-14);
  Gated<float> single;
  CHECK(Error(single.Run(), single.Formula()) < 1e-5);  // sums of few floats, each within 6e-8
}

TEST_CASE("the gradient of a gated norm is that of its formula", "[kernels]") {
  Gated<double> n;
  const std::vector<double> dout = Random(n.s.tokens * n.s.width, 4);
  std::vector<double> dy(n.y.size()), dgate(n.gate.size()), dweight(n.weight.size(), 1);
  GatedRmsNormBackward<double>(n.s, kEpsilon, n.y.data(), n.gate.data(), n.weight.data(), dout.data(), dy.data(),
                               dgate.data(), dweight.data());
  const auto loss = [&] { return Dot(n.Run(), dout); };
  for (double& d : dweight) d -= 1;  // was added to
  CHECK(Error(dy, Differences(n.y, loss)) < kDifferenceTolerance);
  CHECK(Error(dgate, Differences(n.gate, loss)) < kDifferenceTolerance);
  CHECK(Error(dweight, Differences(n.weight, loss)) < kDifferenceTolerance);
}
