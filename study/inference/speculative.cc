#include "study/inference/speculative.h"

#include <cmath>

namespace isochrone::study {

double ExpectedTokens(double acceptance, int drafted) {
  if (acceptance >= 1) return drafted + 1;
  return (1 - std::pow(acceptance, drafted + 1)) / (1 - acceptance);
}

double ExpectedTokensOfTree(const std::vector<int>& parent, const std::vector<double>& acceptance) {
  std::vector<double> path(parent.size());
  double expected = 1;
  for (std::size_t i = 0; i < parent.size(); ++i) {
    path[i] = acceptance[i] * (parent[i] < 0 ? 1 : path[static_cast<std::size_t>(parent[i])]);
    expected += path[i];
  }
  return expected;
}

double SpeculativeTokenTime(const plan::StepCost& cost, const Drafting& drafting, double acceptance, double sequences,
                            double cached) {
  const double g = drafting.drafted;
  const double draft = drafting.step * (drafting.parallel ? (g > 0 ? 1 : 0) : g);
  // The tokens to verify are rows of the products; they share one pass over each sequence's cache.
  const double plain = cost.Seconds({.decoded = sequences, .cached = cached});
  const double rows =
      cost.work(sequences * (g + 1)) - cost.work(sequences) + cost.head(sequences * (g + 1)) - cost.head(sequences);
  return (draft + plain + rows) / ExpectedTokens(acceptance, drafting.drafted);
}

int BestDraft(const plan::StepCost& cost, Drafting drafting, double acceptance, double sequences, double cached,
              int most) {
  int best = 0;
  double least = 0;
  for (int g = 0; g <= most; ++g) {
    drafting.drafted = g;
    const double t = SpeculativeTokenTime(cost, drafting, acceptance, sequences, cached);
    if (g == 0 || t < least) best = g, least = t;
  }
  return best;
}

}  // namespace isochrone::study
