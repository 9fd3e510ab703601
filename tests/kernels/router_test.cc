#include "kernels/router.h"

#include <numeric>

#include "tests/kernels/checks.h"

using namespace isochrone::kernels;
using namespace isochrone::kernels::checks;

namespace {

template <class T>
struct Routed {
  std::vector<Compute<T>> probabilities, weight;
  std::vector<ExpertId> chosen;
};

template <class T>
Routed<T> Route(Index experts, Index k, bool renormalise, const std::vector<T>& logits,
                const std::vector<Compute<T>>* bias = nullptr) {
  const Index tokens = Index(logits.size()) / experts;
  Routed<T> r{std::vector<Compute<T>>(logits.size()), std::vector<Compute<T>>(tokens * k),
              std::vector<ExpertId>(tokens * k)};
  RouteTopK<T>(tokens, experts, k, renormalise, logits.data(), bias ? bias->data() : nullptr, r.probabilities.data(),
               r.chosen.data(), r.weight.data());
  return r;
}

struct Case {
  Index tokens, experts, k;
};
const std::vector<Case> kCases = {{1, 1, 1}, {3, 7, 1}, {5, 8, 2}, {4, 13, 5}, {2, 3, 3}};

}  // namespace

TEST_CASE("a token goes to its k most probable experts, weighted by their probabilities", "[router]") {
  for (const Case& c : kCases) {
    const auto logits = Random(c.tokens * c.experts, 1), bias = Random(c.experts, 2);
    for (const bool biased : {false, true}) {
      const auto plain = Route<double>(c.experts, c.k, false, logits, biased ? &bias : nullptr);
      const auto normal = Route<double>(c.experts, c.k, true, logits, biased ? &bias : nullptr);
      CHECK(plain.chosen == normal.chosen);
      for (Index t = 0; t < c.tokens; ++t) {
        double sum = 0, chosen_sum = 0;
        for (Index e = 0; e < c.experts; ++e) sum += std::exp(logits[t * c.experts + e]);
        const auto p = [&](Index e) { return std::exp(logits[t * c.experts + e]) / sum; };
        std::vector<ExpertId> order(c.experts);
        std::iota(order.begin(), order.end(), 0);
        const auto score = [&](ExpertId e) { return p(e) + (biased ? bias[e] : 0); };
        std::stable_sort(order.begin(), order.end(), [&](ExpertId i, ExpertId j) { return score(i) > score(j); });
        for (Index j = 0; j < c.k; ++j) chosen_sum += p(order[j]);
        for (Index j = 0; j < c.k; ++j) {
          CHECK(plain.chosen[t * c.k + j] == order[j]);
          CHECK(plain.weight[t * c.k + j] == Approx(p(order[j])));
          CHECK(normal.weight[t * c.k + j] == Approx(p(order[j]) / chosen_sum));
        }
      }
    }
  }
}

TEST_CASE("ties go to the lower expert, and NaN logits still name experts", "[router]") {
  CHECK(Route<float>(4, 3, true, {1, 2, 1, 1}).chosen == std::vector<ExpertId>{1, 0, 2});
  for (ExpertId e : Route<float>(4, 2, true, {NAN, NAN, NAN, NAN}).chosen) CHECK((e >= 0 && e < 4));
}

TEST_CASE("bf16 logits choose as their values do in float", "[router]") {
  const auto logits = As<Bf16>(Random(5 * 8, 1));
  const auto bf16 = Route<Bf16>(8, 2, true, logits);
  const auto real = Route<float>(8, 2, true, As<float>(AsDouble(logits)));
  CHECK(bf16.chosen == real.chosen);
  CHECK(bf16.weight == real.weight);
}

TEST_CASE("the gradient of the weights is their central difference", "[router]") {
  for (const Case& c : kCases) {
    for (const bool renormalise : {false, true}) {
      auto logits = Random(c.tokens * c.experts, 1);
      const auto dweight = Random(c.tokens * c.k, 2);
      const auto r = Route<double>(c.experts, c.k, renormalise, logits);
      std::vector<double> dlogits(logits.size());
      RouteTopKBackward<double>(c.tokens, c.experts, c.k, renormalise, r.probabilities.data(), r.chosen.data(),
                                r.weight.data(), dweight.data(), dlogits.data());
      const auto loss = [&] { return Dot(Route<double>(c.experts, c.k, renormalise, logits).weight, dweight); };
      CHECK(Error(dlogits, Differences(logits, loss)) < kDifferenceTolerance);
    }
  }
}

TEST_CASE("capacity is first come first served over the whole batch, in one call or many", "[router]") {
  const std::vector<ExpertId> chosen = {0, 1, 0, 0, 2, 1, 0, 1};
  const std::vector<ExpertId> expected = {0, 1, 0, kDropped, 2, 1, kDropped, kDropped};
  std::vector<ExpertId> kept(8), parts(8);
  std::vector<Index> taken(3), taken_parts(3);
  DropOverCapacity(8, 2, chosen.data(), kept.data(), taken.data());
  DropOverCapacity(3, 2, chosen.data(), parts.data(), taken_parts.data());
  DropOverCapacity(5, 2, chosen.data() + 3, parts.data() + 3, taken_parts.data());
  CHECK(kept == expected);
  CHECK(parts == expected);
  CHECK(taken == std::vector<Index>{4, 3, 1});
  CHECK(taken_parts == taken);
}

TEST_CASE("an overloaded expert's bias falls, an idle one's rises, an even one's stays", "[router]") {
  std::vector<double> bias = {0, 0, 1};
  const std::vector<Index> load = {7, 1, 4};
  UpdateRouterBias(3, 0.25, load.data(), bias.data());
  CHECK(bias == std::vector<double>{-0.25, 0.25, 1});
}
