#include "kernels/permute.h"

#include "tests/kernels/checks.h"

using namespace isochrone::kernels;
using namespace isochrone::kernels::checks;

namespace {

constexpr Index kTokens = 5, kChoices = 2, kExperts = 4;
const std::vector<ExpertId> kChosen = {2, 0, 0, 3, 2, kDropped, kDropped, kDropped, 3, 2};

struct Planned {
  std::vector<Index> offsets = std::vector<Index>(kExperts + 1), row_of = std::vector<Index>(kTokens * kChoices);
  Planned() { PlanPermutation(kTokens * kChoices, kExperts, kChosen.data(), offsets.data(), row_of.data()); }
  Index Rows() const { return offsets.back(); }
};

}  // namespace

TEST_CASE("rows are sorted by expert and keep their order within one; the dropped have none", "[permute]") {
  const Planned p;
  CHECK(p.offsets == std::vector<Index>{0, 2, 2, 5, 7});
  CHECK(p.row_of == std::vector<Index>{2, 0, 1, 5, 3, -1, -1, -1, 6, 4});
}

TEST_CASE("permuting copies each token to its rows, and combining unit weights with k = 1 brings it back",
          "[permute]") {
  const Planned p;
  const Index hidden = 3;
  const auto x = Random(kTokens * hidden, 1);
  std::vector<double> out(p.Rows() * hidden);
  Permute<double>(kTokens, kChoices, hidden, p.row_of.data(), x.data(), out.data());
  const std::vector<Index> token_of = {0, 1, 0, 2, 4, 1, 4};
  for (Index r = 0; r < p.Rows(); ++r)
    for (Index c = 0; c < hidden; ++c) CHECK(out[r * hidden + c] == x[token_of[r] * hidden + c]);

  const std::vector<Index> turned = {4, 2, 0, 1, 3};
  std::vector<double> there(x.size()), back(x.size());
  Permute<double>(kTokens, 1, hidden, turned.data(), x.data(), there.data());
  PermuteBackward<double>(kTokens, 1, hidden, turned.data(), there.data(), back.data());
  CHECK(back == x);
}

TEST_CASE("the gradient of permuting is its central difference", "[permute]") {
  const Planned p;
  for (Index hidden : {1, 3, 300}) {
    auto x = Random(kTokens * hidden, 1);
    const auto dout = Random(p.Rows() * hidden, 2);
    std::vector<double> out(p.Rows() * hidden), dx(x.size());
    PermuteBackward<double>(kTokens, kChoices, hidden, p.row_of.data(), dout.data(), dx.data());
    const auto loss = [&] {
      Permute<double>(kTokens, kChoices, hidden, p.row_of.data(), x.data(), out.data());
      return Dot(out, dout);
    };
    CHECK(Error(dx, Differences(x, loss)) < kDifferenceTolerance);
  }
}

TEMPLATE_TEST_CASE("combining is the weighted sum of the kept rows", "[permute]", double, float, Bf16) {
  using C = Compute<TestType>;
  const Planned p;
  const Index hidden = 300;
  const auto y = As<TestType>(Random(p.Rows() * hidden, 1));
  const auto weight = As<C>(Random(kTokens * kChoices, 2));
  std::vector<TestType> out(kTokens * hidden);
  Combine<TestType>(kTokens, kChoices, hidden, p.row_of.data(), weight.data(), y.data(), out.data());
  std::vector<double> expected(out.size());
  for (Index i = 0; i < kTokens * kChoices; ++i)
    for (Index c = 0; c < hidden && p.row_of[i] >= 0; ++c)
      expected[i / kChoices * hidden + c] += double(weight[i]) * double(C(y[p.row_of[i] * hidden + c]));
  CHECK(Error(AsDouble(out), expected) < (sizeof(TestType) == 8 ? 1e-15 : sizeof(TestType) == 4 ? 1e-6 : 0x1p-8));
}

TEST_CASE("the gradients of combining are its central differences", "[permute]") {
  const Planned p;
  const Index hidden = 7;
  auto y = Random(p.Rows() * hidden, 1), weight = Random(kTokens * kChoices, 2);
  const auto dout = Random(kTokens * hidden, 3);
  std::vector<double> out(dout.size()), dy(y.size()), dweight(weight.size());
  CombineBackward<double>(kTokens, kChoices, hidden, p.row_of.data(), weight.data(), y.data(), dout.data(), dy.data(),
                          dweight.data());
  const auto loss = [&] {
    Combine<double>(kTokens, kChoices, hidden, p.row_of.data(), weight.data(), y.data(), out.data());
    return Dot(out, dout);
  };
  CHECK(Error(dy, Differences(y, loss)) < kDifferenceTolerance);
  CHECK(Error(dweight, Differences(weight, loss)) < kDifferenceTolerance);
}
