#pragma once

#include <functional>
#include <vector>

#include "plan/inference/inference_scenario.h"
#include "plan/inference/step_cost.h"

namespace isochrone::study {

/// Tokens that one verification yields on average when a chain of `drafted` tokens is each accepted with probability
/// `acceptance`, independently, and the model adds one of its own.
///
///   E = (1 - a^(g+1)) / (1 - a),  g + 1 at a = 1
///
/// Source  Leviathan, Kalman & Matias, "Fast inference from Transformers via speculative decoding", arXiv 2211.17192,
///         equation 1.
double ExpectedTokens(double acceptance, int drafted);

/// The same for a tree of drafts: one for the model's own token and, for every node, the product of the acceptances on
/// its path.
/// Source  Miao et al., "SpecInfer", arXiv 2305.09781; Chen et al., "Sequoia", arXiv 2402.12374, section 3.
double ExpectedTokens(const plan::DraftTree& tree);

/// Nodes at each depth of a tree, from its roots' children on.
std::vector<int> Widths(const plan::DraftTree& tree);

/// How drafts are made. step(n): seconds of the draft for n tokens of every sequence.
struct Drafting {
  std::function<double(double tokens)> step;
  bool at_once = false;  // all depths in one step (Medusa, PaSS); else one step for each depth
};

/// One round: drafts, then a step of the model over them and one token more of each sequence.
///
///   verify = step of B (nodes + 1) tokens over the caches of B sequences, by the device's own curve
struct SpeculativeRound {
  double draft = 0, verify = 0;  // s
  double expected = 1;           // tokens of a sequence
  double PerToken() const { return (draft + verify) / expected; }
};
SpeculativeRound RoundOf(const plan::StepCost& cost, const Drafting& drafting, const plan::DraftTree& tree,
                         double sequences, double cached);

/// The chain length from 0 (no drafts) to `most` with the least time per token.
int BestDraft(const plan::StepCost& cost, const Drafting& drafting, double acceptance, double sequences, double cached,
              int most);

/// Time of a draft step whose layers run `layer_parallel` at a time, each on a GPU of its own, on the same input:
///
///   t = layers / n + head + ceil(L / n) all-reduce(hidden)
///
/// Source  Wu et al., "EasySpec: layer-parallel speculative decoding for efficient multi-GPU utilization", arXiv
///         2502.02493, section 3.
double LayerParallelStep(const plan::StepCost& cost, const plan::InferenceScenario& draft, int layer_parallel,
                         const plan::StepLoad& load);

/// The draft of a scenario as one of its own. Requires scenario.speculation. Throws Error where the degrees do not
/// divide it.
plan::InferenceScenario DraftOf(const plan::InferenceScenario& scenario);

/// What speculation makes of a scenario's decoding.
struct SpeculationAnswer {
  SpeculativeRound round;
  double plain = 0;      // s a token without drafts
  int best_drafted = 0;  // chains: the length with the least time per token; trees: nodes as given
  double Gain() const { return plain / round.PerToken(); }
};
/// Requires  scenario.speculation
SpeculationAnswer Speculate(const plan::InferenceScenario& scenario, const plan::ReplicaCost& cost);

}  // namespace isochrone::study
