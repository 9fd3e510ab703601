#include "kernels/cross_entropy.h"

#include "tests/kernels/checks.h"

using namespace isochrone::kernels;
using namespace isochrone::kernels::checks;

namespace {

struct Answer {
  std::vector<double> loss, dlogits;
};

// The phases over shards of the given widths, reduced as a communicator would.
template <class T>
Answer Sharded(const std::vector<T>& logits, const std::vector<TokenId>& targets, const std::vector<Index>& widths,
               const std::vector<Compute<T>>& weight) {
  using C = Compute<T>;
  const Index tokens = Index(targets.size()), vocabulary = Index(logits.size()) / tokens;
  std::vector<std::vector<T>> shards;
  Index first = 0;
  for (Index w : widths) {
    shards.emplace_back();
    for (Index t = 0; t < tokens; ++t)
      for (Index c = 0; c < w; ++c) shards.back().push_back(logits[t * vocabulary + first + c]);
    first += w;
  }
  std::vector<C> max(tokens, C(-INFINITY)), sum(tokens), target(tokens), part(tokens), part_target(tokens),
      loss(tokens);
  for (std::size_t r = 0; r < widths.size(); ++r) {
    LogitMax<T>(tokens, widths[r], shards[r].data(), part.data());
    for (Index t = 0; t < tokens; ++t) max[t] = std::max(max[t], part[t]);
  }
  first = 0;
  for (std::size_t r = 0; r < widths.size(); first += widths[r++]) {
    LogitSums<T>(tokens, widths[r], first, shards[r].data(), targets.data(), max.data(), part.data(),
                 part_target.data());
    for (Index t = 0; t < tokens; ++t) sum[t] += part[t], target[t] += part_target[t];
  }
  CrossEntropyLoss<C>(tokens, max.data(), sum.data(), target.data(), loss.data());
  std::vector<T> dlogits(logits.size());
  first = 0;
  for (std::size_t r = 0; r < widths.size(); first += widths[r++]) {
    CrossEntropyGradient<T>(tokens, widths[r], first, shards[r].data(), targets.data(), max.data(), sum.data(),
                            weight.data(), shards[r].data());  // over its input
    for (Index t = 0; t < tokens; ++t)
      for (Index c = 0; c < widths[r]; ++c) dlogits[t * vocabulary + first + c] = shards[r][t * widths[r] + c];
  }
  return {AsDouble(loss), AsDouble(dlogits)};
}

const std::vector<TokenId> kTargets = {0, 12, 5, 4, 11};
constexpr Index kVocabulary = 13;

std::vector<double> Logits() {
  auto x = Random(Index(kTargets.size()) * kVocabulary, 1);
  for (double& v : x) v *= 5;
  return x;
}

}  // namespace

TEST_CASE("cross-entropy is minus the log of the target's probability", "[cross_entropy]") {
  const auto logits = Logits();
  std::vector<double> expected;
  for (std::size_t t = 0; t < kTargets.size(); ++t) {
    double sum = 0;
    for (Index c = 0; c < kVocabulary; ++c) sum += std::exp(logits[t * kVocabulary + c]);
    expected.push_back(-std::log(std::exp(logits[t * kVocabulary + kTargets[t]]) / sum));
  }
  const std::vector<double> weight(kTargets.size(), 1);
  CHECK(Error(Sharded(logits, kTargets, {kVocabulary}, weight).loss, expected) < 1e-14);
  const auto bf16 = As<Bf16>(logits);
  CHECK(Error(Sharded(bf16, kTargets, {kVocabulary}, As<float>(weight)).loss,
              Sharded(AsDouble(bf16), kTargets, {kVocabulary}, weight).loss) < 1e-6);
}

TEST_CASE("cross-entropy over shards of the vocabulary is that of the whole", "[cross_entropy]") {
  const auto weight = Random(Index(kTargets.size()), 2);
  const auto whole = Sharded(Logits(), kTargets, {kVocabulary}, weight);
  for (const auto& widths : {std::vector<Index>{6, 7}, {1, 12}, {4, 4, 5}, {12, 1}}) {
    const auto shards = Sharded(Logits(), kTargets, widths, weight);
    CHECK(Error(shards.loss, whole.loss) < 1e-14);
    CHECK(Error(shards.dlogits, whole.dlogits) < 1e-14);
  }
}

TEST_CASE("the gradient of cross-entropy is the central difference of the weighted loss", "[cross_entropy]") {
  auto logits = Logits();
  const auto weight = Random(Index(kTargets.size()), 2);
  const auto gradient = Sharded(logits, kTargets, {4, 9}, weight).dlogits;
  const auto loss = [&] { return Dot(Sharded(logits, kTargets, {4, 9}, weight).loss, weight); };
  CHECK(Error(gradient, Differences(logits, loss)) < kDifferenceTolerance);
}

TEST_CASE("cross-entropy stands large logits", "[cross_entropy]") {
  const std::vector<float> logits = {1e4f, -1e4f, 0, 1e4f};
  CHECK(Sharded<float>(logits, {0}, {4}, {1}).loss[0] == Approx(std::log(2.0)));
  CHECK(Sharded<float>(logits, {1}, {2, 2}, {1}).loss[0] == Approx(2e4 + std::log(2.0)));
}
