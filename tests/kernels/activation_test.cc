#include "kernels/activation.h"

#include "kernels/bias.h"
#include "tests/kernels/checks.h"

using namespace isochrone::kernels;
using namespace isochrone::kernels::checks;

namespace {

double Curve(Activation f, double x) {
  switch (f) {
    case Activation::kGelu:
      return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    case Activation::kSquaredRelu:
      return x > 0 ? x * x : 0;
    case Activation::kSilu:
      return x / (1 + std::exp(-x));
    case Activation::kSoftplus:
      return std::log(1 + std::exp(x));
  }
  return NAN;
}

constexpr Activation kAll[] = {Activation::kGelu, Activation::kSquaredRelu, Activation::kSilu, Activation::kSoftplus};
const std::vector<std::pair<Index, Index>> kShapes = {{1, 1}, {3, 7}, {2, 31}, {5, 64}};

std::vector<double> Wide(Index n, unsigned seed) {  // arguments out to 12, where all curves are flat or straight
  auto x = Random(n, seed);
  for (double& v : x) v *= 12;
  return x;
}

template <class T>
void CheckForward(double tolerance) {
  for (Activation f : kAll) {
    for (auto [t, w] : kShapes) {
      const auto x = As<T>(Wide(t * w, 1)), bias = As<T>(Random(w, 2));
      std::vector<T> plain(t * w), biased(t * w);
      Activate<T>(f, t, w, x.data(), nullptr, plain.data());
      Activate<T>(f, t, w, x.data(), bias.data(), biased.data());
      std::vector<double> expected_plain, expected_biased;
      for (Index i = 0; i < t * w; ++i) {
        expected_plain.push_back(Curve(f, double(Compute<T>(x[i]))));
        expected_biased.push_back(Curve(f, double(Compute<T>(x[i])) + double(Compute<T>(bias[i % w]))));
      }
      CHECK(Error(AsDouble(plain), expected_plain) < tolerance);
      CHECK(Error(AsDouble(biased), expected_biased) < tolerance);
    }
  }
}

}  // namespace

TEST_CASE("activations follow their formulas in every storage type", "[activation]") {
  CheckForward<double>(1e-14);
  CheckForward<float>(1e-6);
  CheckForward<Bf16>(0x1p-8);
}

TEST_CASE("the gradients of activations are their central differences", "[activation]") {
  for (Activation f : kAll) {
    for (auto [t, w] : kShapes) {
      auto x = Wide(t * w, 1), bias = Random(w, 2);
      const auto dout = Random(t * w, 3);
      for (const bool biased : {false, true}) {
        const double* b = biased ? bias.data() : nullptr;
        std::vector<double> out(t * w), dx(t * w), dbias(w);
        const auto loss = [&] {
          Activate<double>(f, t, w, x.data(), b, out.data());
          return Dot(out, dout);
        };
        ActivateBackward<double>(f, t, w, x.data(), b, dout.data(), dx.data());
        CHECK(Error(dx, Differences(x, loss)) < kDifferenceTolerance);
        if (!biased) continue;
        BiasGradient<double>(t, w, dx.data(), dbias.data());
        CHECK(Error(dbias, Differences(bias, loss)) < kDifferenceTolerance);
      }
    }
  }
}

TEST_CASE("activations are finite far out and keep NaN", "[activation]") {
  for (Activation f : kAll) {
    const std::vector<float> x = {-1e4f, -100, 0, 100, 1e4f, NAN}, one(6, 1.0f);
    std::vector<float> out(6), dx(6);
    Activate<float>(f, 1, 6, x.data(), nullptr, out.data());
    ActivateBackward<float>(f, 1, 6, x.data(), nullptr, one.data(), dx.data());
    for (int i = 0; i < 5; ++i) CHECK((std::isfinite(out[i]) && std::isfinite(dx[i])));
    CHECK((std::isnan(out[5]) && std::isnan(dx[5])));
  }
}

TEST_CASE("gated activations are the curve of one half times the other", "[activation]") {
  for (auto [f, curve] : {std::pair{Gate::kSwiGlu, Activation::kSilu}, {Gate::kGeGlu, Activation::kGelu}}) {
    for (auto [t, w] : kShapes) {
      const auto x = Wide(t * 2 * w, 1), bias = Random(2 * w, 2);
      std::vector<double> plain(t * w), biased(t * w), expected_plain, expected_biased;
      GatedActivate<double>(f, t, w, 2 * w, x.data(), x.data() + w, nullptr, nullptr, plain.data());
      GatedActivate<double>(f, t, w, 2 * w, x.data(), x.data() + w, bias.data(), bias.data() + w, biased.data());
      for (Index r = 0; r < t; ++r)
        for (Index c = 0; c < w; ++c) {
          const double gate = x[r * 2 * w + c], up = x[r * 2 * w + w + c];
          expected_plain.push_back(Curve(curve, gate) * up);
          expected_biased.push_back(Curve(curve, gate + bias[c]) * (up + bias[w + c]));
        }
      CHECK(Error(plain, expected_plain) < 1e-14);
      CHECK(Error(biased, expected_biased) < 1e-14);
    }
  }
}

TEST_CASE("the gradients of gated activations are their central differences", "[activation]") {
  for (Gate f : {Gate::kSwiGlu, Gate::kGeGlu}) {
    for (auto [t, w] : kShapes) {
      auto x = Wide(t * 2 * w, 1);
      const auto bias = Random(2 * w, 2), dout = Random(t * w, 3);
      for (const bool biased : {false, true}) {
        const double *gate_bias = biased ? bias.data() : nullptr, *up_bias = biased ? bias.data() + w : nullptr;
        std::vector<double> out(t * w), dx(t * 2 * w);
        GatedActivateBackward<double>(f, t, w, 2 * w, x.data(), x.data() + w, gate_bias, up_bias, dout.data(),
                                      dx.data(), dx.data() + w);
        const auto loss = [&] {
          GatedActivate<double>(f, t, w, 2 * w, x.data(), x.data() + w, gate_bias, up_bias, out.data());
          return Dot(out, dout);
        };
        CHECK(Error(dx, Differences(x, loss)) < kDifferenceTolerance);
      }
    }
  }
}
