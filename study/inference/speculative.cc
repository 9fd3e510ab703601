#include "study/inference/speculative.h"

#include <algorithm>
#include <cmath>

#include "costmodel/inference/step_price.h"
#include "study/inference/serving_run.h"

namespace isochrone::study {
namespace {

constexpr int kLongestChain = 16;

}  // namespace

plan::InferenceScenario DraftOf(const plan::InferenceScenario& scenario) {
  plan::InferenceScenario draft = scenario;
  draft.base.model = scenario.speculation->draft;
  return WithDegrees(draft, scenario.speculation->draft_tensor, 1);
}

double ExpectedTokens(double acceptance, int drafted) {
  if (acceptance >= 1) return drafted + 1;
  return (1 - std::pow(acceptance, drafted + 1)) / (1 - acceptance);
}

double ExpectedTokens(const plan::DraftTree& tree) {
  std::vector<double> path(tree.parent.size());
  double expected = 1;
  for (std::size_t i = 0; i < path.size(); ++i) {
    path[i] = tree.acceptance[i] * (tree.parent[i] < 0 ? 1 : path[static_cast<std::size_t>(tree.parent[i])]);
    expected += path[i];
  }
  return expected;
}

std::vector<int> Widths(const plan::DraftTree& tree) {
  std::vector<std::size_t> depth(tree.parent.size());
  std::vector<int> widths;
  for (std::size_t i = 0; i < depth.size(); ++i) {
    depth[i] = tree.parent[i] < 0 ? 0 : depth[static_cast<std::size_t>(tree.parent[i])] + 1;
    widths.resize(std::max(widths.size(), depth[i] + 1));
    ++widths[depth[i]];
  }
  return widths;
}

SpeculativeRound RoundOf(const plan::StepCost& cost, const Drafting& drafting, const plan::DraftTree& tree,
                         double sequences, double cached) {
  SpeculativeRound round;
  const std::vector<int> widths = Widths(tree);
  // A node's draft comes of its parent: each step reads as many tokens as the depth above has nodes.
  if (drafting.at_once && !widths.empty()) round.draft = drafting.step(1);
  for (std::size_t d = 0; !drafting.at_once && d < widths.size(); ++d)
    round.draft += drafting.step(d == 0 ? 1 : widths[d - 1]);
  const double rows = sequences * static_cast<double>(tree.parent.size() + 1);
  // The tokens to verify are rows of the products; they share one pass over each sequence's cache.
  round.verify = cost.Seconds({.decoded = sequences, .cached = cached}) + cost.work(rows) - cost.work(sequences) +
                 cost.head(rows) - cost.head(sequences);
  round.expected = ExpectedTokens(tree);
  return round;
}

int BestDraft(const plan::StepCost& cost, const Drafting& drafting, double acceptance, double sequences, double cached,
              int most) {
  int best = 0;
  double least = 0;
  for (int g = 0; g <= most; ++g) {
    const double t = RoundOf(cost, drafting, plan::DraftTree::Chain(acceptance, g), sequences, cached).PerToken();
    if (g == 0 || t < least) best = g, least = t;
  }
  return best;
}

double LayerParallelStep(const plan::StepCost& cost, const plan::InferenceScenario& draft, int layer_parallel,
                         const plan::StepLoad& load) {
  if (layer_parallel == 1) return cost.Seconds(load);
  const plan::Node& node = draft.base.cluster.node;
  const double head = cost.head(load.decoded + load.pieces), layers = cost.Seconds(load) - head;
  const double bytes =
      load.decoded * static_cast<double>(draft.base.model.hidden) * plan::SizeOf(plan::Dtype::kBf16).value;
  const double groups = std::ceil(static_cast<double>(draft.base.model.layers) / layer_parallel);
  const costmodel::EngineProfile engine = costmodel::EngineOf(draft.strategy.engine, node.gpu);
  const Seconds joined = costmodel::OneShotAllReduce(Bytes(bytes), layer_parallel, node, engine);
  return layers / layer_parallel + head + groups * Max(joined, node.link_latency).value;
}

SpeculationAnswer Speculate(const plan::InferenceScenario& scenario, const plan::ReplicaCost& replica) {
  const plan::Speculation& s = *scenario.speculation;
  const plan::Generation& g = scenario.generation;
  const plan::StepCost cost = OneEngine(replica);
  const plan::InferenceScenario draft = DraftOf(scenario);
  const plan::StepCost draft_cost = costmodel::ReplicaCostOf(draft).stages.front();
  const double sequences = static_cast<double>(g.batch);
  const double cached = sequences * static_cast<double>(g.prompt + g.output / 2);
  const Drafting drafting{.step =
                              [&](double tokens) {
                                return LayerParallelStep(draft_cost, draft, s.layer_parallel,
                                                         {.decoded = sequences * tokens, .cached = cached});
                              },
                          .at_once = s.at_once};
  SpeculationAnswer a;
  a.round = RoundOf(cost, drafting, s.tree, sequences, cached);
  a.plain = cost.Seconds({.decoded = sequences, .cached = cached});
  a.best_drafted = s.chain_acceptance ? BestDraft(cost, drafting, *s.chain_acceptance, sequences, cached, kLongestChain)
                                      : static_cast<int>(s.tree.parent.size());
  return a;
}

}  // namespace isochrone::study
