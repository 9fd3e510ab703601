#include "kernels/softmax.h"

#include "tests/kernels/checks.h"

using namespace isochrone::kernels;
using namespace isochrone::kernels::checks;

namespace {

struct Case {
  Index batch, queries, keys;
  AttentionMask mask;
};
const std::vector<Case> kCases = {{1, 1, 1, {true, 0, 0, 0}},   {2, 3, 3, {true, 0, 0, 0}},
                                  {3, 7, 5, {true, 0, 0, 0}},   {2, 5, 37, {true, 32, 0, 7}},
                                  {1, 4, 19, {false, 0, 0, 0}}, {1, 3, 4, {true, 0, 2, 0}}};

std::vector<double> Formula(const Case& c, double scale, const std::vector<double>& x) {
  std::vector<double> out(x.size(), 0);
  for (Index r = 0; r < c.batch * c.queries; ++r) {
    const Index position = c.mask.first_query + r % c.queries;
    const auto sees = [&](Index j) {
      const Index apart = position - c.mask.first_key - j;
      return (!c.mask.causal || apart >= 0) && (c.mask.window == 0 || apart < c.mask.window);
    };
    double sum = 0;
    for (Index j = 0; j < c.keys; ++j) sum += sees(j) ? std::exp(scale * x[r * c.keys + j]) : 0;
    for (Index j = 0; j < c.keys; ++j) out[r * c.keys + j] = sees(j) ? std::exp(scale * x[r * c.keys + j]) / sum : 0;
  }
  return out;
}

template <class T>
void CheckForward(double tolerance) {
  for (const Case& c : kCases) {
    const auto x = As<T>(Random(c.batch * c.queries * c.keys, 1));
    std::vector<T> out(x.size(), T(Compute<T>(9)));
    MaskedSoftmax<T>(c.batch, c.queries, c.keys, Compute<T>(2.5), c.mask, x.data(), out.data());
    CHECK(Error(AsDouble(out), Formula(c, 2.5, AsDouble(x))) < tolerance);
  }
}

}  // namespace

TEST_CASE("masked softmax follows its formula in every storage type; what is hidden is 0", "[softmax]") {
  CheckForward<double>(1e-14);
  CheckForward<float>(1e-6);
  CheckForward<Bf16>(0x1p-7);  // exponentials are stored once before they are normalised: two roundings
}

TEST_CASE("masked softmax stands large scores", "[softmax]") {
  const std::vector<float> x = {1e4f, 1e4f, -1e4f};
  std::vector<float> out(3);
  MaskedSoftmax<float>(1, 1, 3, 10, {false, 0, 0, 0}, x.data(), out.data());
  CHECK(out == std::vector<float>{0.5f, 0.5f, 0});
}

TEST_CASE("the gradient of masked softmax is its central difference", "[softmax]") {
  for (const Case& c : kCases) {
    auto x = Random(c.batch * c.queries * c.keys, 1);
    const auto dout = Random(Index(x.size()), 2);
    std::vector<double> out(x.size()), dx(x.size());
    const auto loss = [&] {
      MaskedSoftmax<double>(c.batch, c.queries, c.keys, 2.5, c.mask, x.data(), out.data());
      return Dot(out, dout);
    };
    loss();
    MaskedSoftmaxBackward<double>(c.batch, c.queries, c.keys, 2.5, out.data(), dout.data(), dx.data());
    CHECK(Error(dx, Differences(x, loss)) < kDifferenceTolerance);
  }
}
