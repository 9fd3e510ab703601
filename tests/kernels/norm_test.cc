#include "kernels/layer_norm.h"
#include "kernels/rms_norm.h"
#include "tests/kernels/checks.h"

using namespace isochrone::kernels;
using namespace isochrone::kernels::checks;

namespace {

constexpr double kEpsilon = 1e-5;

template <class T>
struct Norms {
  Index tokens, hidden;
  std::vector<T> x, weight, bias;
  std::vector<Compute<T>> mean, rstd;

  Norms(Index t, Index h)
      : tokens(t),
        hidden(h),
        x(As<T>(Random(t * h, 1))),
        weight(As<T>(Random(h, 2))),
        bias(As<T>(Random(h, 3))),
        mean(t),
        rstd(t) {}

  std::vector<double> Layer() {
    std::vector<T> out(x.size());
    LayerNorm<T>(tokens, hidden, Compute<T>(kEpsilon), x.data(), weight.data(), bias.data(), out.data(), mean.data(),
                 rstd.data());
    return AsDouble(out);
  }
  std::vector<double> Rms() {
    std::vector<T> out(x.size());
    RmsNorm<T>(tokens, hidden, Compute<T>(kEpsilon), x.data(), weight.data(), out.data(), rstd.data());
    return AsDouble(out);
  }
  // The formula of the header, in double. Without `centred`, mean and bias are left out: RMS norm.
  std::vector<double> Formula(bool centred) const {
    std::vector<double> out;
    for (Index t = 0; t < tokens; ++t) {
      const auto at = [&](Index c) { return double(Compute<T>(x[t * hidden + c])); };
      double center = 0, squares = 0;
      if (centred)
        for (Index c = 0; c < hidden; ++c) center += at(c) / double(hidden);
      for (Index c = 0; c < hidden; ++c) squares += (at(c) - center) * (at(c) - center) / double(hidden);
      for (Index c = 0; c < hidden; ++c)
        out.push_back((at(c) - center) / std::sqrt(squares + kEpsilon) * double(Compute<T>(weight[c])) +
                      (centred ? double(Compute<T>(bias[c])) : 0));
    }
    return out;
  }
};

const std::vector<std::pair<Index, Index>> kShapes = {{1, 1}, {1, 2}, {3, 7}, {5, 31}, {7, 64}, {2, 129}};

template <class T>
void CheckForward(double tolerance) {
  for (auto [t, h] : kShapes) {
    Norms<T> n(t, h);
    CHECK(Error(n.Layer(), n.Formula(true)) < tolerance);
    CHECK(Error(n.Rms(), n.Formula(false)) < tolerance);
  }
}

}  // namespace

TEST_CASE("layer and RMS norm follow their formulas in every storage type", "[norm]") {
  CheckForward<double>(1e-12);
  CheckForward<float>(2e-5);   // two equal-ish channels divide by a small deviation: rounding / sqrt(epsilon)
  CheckForward<Bf16>(0x1p-8);  // the result is rounded once: half a unit is 2^-9
}

TEST_CASE("the gradients of layer norm are its central differences", "[norm]") {
  for (auto [t, h] : kShapes) {
    Norms<double> n(t, h);
    const auto dout = Random(t * h, 4);
    n.Layer();
    std::vector<double> dx(t * h), dweight(h, 1.0), dbias(h, 2.0);  // parameter gradients are added to
    LayerNormBackward<double>(t, h, n.x.data(), n.weight.data(), n.mean.data(), n.rstd.data(), dout.data(), dx.data(),
                              dweight.data(), dbias.data());
    const auto loss = [&] { return Dot(n.Layer(), dout); };
    if (h > 2) CHECK(Error(dx, Differences(n.x, loss)) < kDifferenceTolerance);  // h <= 2 is a step, not a slope
    for (double& v : dweight) v -= 1;
    for (double& v : dbias) v -= 2;
    CHECK(Error(dweight, Differences(n.weight, loss)) < kDifferenceTolerance);
    CHECK(Error(dbias, Differences(n.bias, loss)) < kDifferenceTolerance);
  }
}

TEST_CASE("the gradients of RMS norm are its central differences", "[norm]") {
  for (auto [t, h] : kShapes) {
    Norms<double> n(t, h);
    const auto dout = Random(t * h, 4);
    n.Rms();
    std::vector<double> dx(t * h), dweight(h, 1.0);
    RmsNormBackward<double>(t, h, n.x.data(), n.weight.data(), n.rstd.data(), dout.data(), dx.data(), dweight.data());
    const auto loss = [&] { return Dot(n.Rms(), dout); };
    CHECK(Error(dx, Differences(n.x, loss)) < kDifferenceTolerance);
    for (double& v : dweight) v -= 1;
    CHECK(Error(dweight, Differences(n.weight, loss)) < kDifferenceTolerance);
  }
}

TEST_CASE("norms may write over their input and their gradient", "[norm]") {
  Norms<float> n(5, 31);
  const auto dout = As<float>(Random(5 * 31, 4));
  std::vector<float> dx(n.x.size()), over = dout, dweight(31), dbias(31);
  n.Layer();
  LayerNormBackward<float>(5, 31, n.x.data(), n.weight.data(), n.mean.data(), n.rstd.data(), dout.data(), dx.data(),
                           dweight.data(), dbias.data());
  LayerNormBackward<float>(5, 31, n.x.data(), n.weight.data(), n.mean.data(), n.rstd.data(), over.data(), over.data(),
                           dweight.data(), dbias.data());
  CHECK(over == dx);
  const auto apart = n.Layer();
  LayerNorm<float>(5, 31, float(kEpsilon), n.x.data(), n.weight.data(), n.bias.data(), n.x.data(), n.mean.data(),
                   n.rstd.data());
  CHECK(AsDouble(n.x) == apart);
}
