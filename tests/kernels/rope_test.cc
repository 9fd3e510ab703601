#include "kernels/rope.h"

#include <complex>

#include "tests/kernels/checks.h"

using namespace isochrone::kernels;
using namespace isochrone::kernels::checks;

namespace {

struct Case {
  Index batch, positions, heads, head_size, pitch, first;
};
const std::vector<Case> kCases = {
    {1, 1, 1, 2, 2, 0}, {2, 3, 2, 6, 17, 0}, {1, 5, 3, 14, 42, 7}, {2, 7, 1, 64, 64, 100}};

template <class T>
void Rotate(const Case& c, std::vector<T>& x, bool backward = false) {
  std::vector<Compute<T>> cosine(c.positions * c.head_size / 2), sine(cosine.size());
  RopeTable<Compute<T>>(c.first, c.positions, c.head_size, 10000, cosine.data(), sine.data());
  (backward ? RopeBackward<T> : Rope<T>)(c.batch, c.positions, c.heads, c.head_size, c.pitch, cosine.data(),
                                         sine.data(), x.data());
}

// Each pair is a complex number, turned by e^(i position base^(-2i/D)).
std::vector<double> Formula(const Case& c, std::vector<double> x) {
  for (Index t = 0; t < c.batch * c.positions; ++t)
    for (Index a = 0; a < c.heads; ++a)
      for (Index i = 0; i < c.head_size / 2; ++i) {
        double& low = x[t * c.pitch + a * c.head_size + i];
        double& high = x[t * c.pitch + a * c.head_size + i + c.head_size / 2];
        const double angle =
            double(c.first + t % c.positions) * std::pow(10000, -2.0 * double(i) / double(c.head_size));
        const auto turned = std::complex<double>(low, high) * std::polar(1.0, angle);
        low = turned.real();
        high = turned.imag();
      }
  return x;
}

template <class T>
void CheckForward(double tolerance) {
  for (const Case& c : kCases) {
    auto x = As<T>(Random(c.batch * c.positions * c.pitch, 1));
    const auto expected = Formula(c, AsDouble(x));
    Rotate(c, x);
    CHECK(Error(AsDouble(x), expected) < tolerance);
  }
}

}  // namespace

TEST_CASE("rotary embedding turns pairs by the angle of their position, and nothing between heads", "[rope]") {
  CheckForward<double>(1e-14);
  CheckForward<float>(1e-6);
  CheckForward<Bf16>(0x1p-8);
}

TEST_CASE("rotary embedding of a slice is the slice of the whole", "[rope]") {
  const Case whole{1, 9, 2, 8, 16, 0}, tail{1, 4, 2, 8, 16, 5};
  auto x = Random(9 * 16, 1);
  std::vector<double> part(x.begin() + 5 * 16, x.end());
  Rotate(whole, x);
  Rotate(tail, part);
  CHECK(std::vector<double>(x.begin() + 5 * 16, x.end()) == part);
}

TEST_CASE("the gradient of rotary embedding is its central difference", "[rope]") {
  for (const Case& c : kCases) {
    auto x = Random(c.batch * c.positions * c.pitch, 1);
    const auto dout = Random(Index(x.size()), 2);
    auto dx = dout;
    Rotate(c, dx, true);
    const auto loss = [&] {
      auto out = x;
      Rotate(c, out);
      return Dot(out, dout);
    };
    CHECK(Error(dx, Differences(x, loss)) < kDifferenceTolerance);
  }
}
