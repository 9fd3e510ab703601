#pragma once

#include <vector>

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
/// its path. `parent[i]` < i, -1 for a child of the root; `acceptance[i]` given that the parent was accepted and no
/// sibling was.
/// Source  Miao et al., "SpecInfer", arXiv 2305.09781; Chen et al., "Sequoia", arXiv 2402.12374, section 3.
double ExpectedTokensOfTree(const std::vector<int>& parent, const std::vector<double>& acceptance);

/// How a draft is made: one small model's steps one after the other, or all at once by layers that run in parallel.
struct Drafting {
  double step = 0;        // s, of the draft model for one token of every sequence
  int drafted = 4;        // tokens of a chain
  bool parallel = false;  // heads that draft all tokens in one step
};

/// Time per accepted token of `sequences` sequences: the draft, then one step of the model over drafted + 1 tokens of
/// each, priced on the device's own curve.
///
///   t = (draft + verify) / E,  verify = step of sequences · (g + 1) tokens over the same cache
double SpeculativeTokenTime(const plan::StepCost& cost, const Drafting& drafting, double acceptance, double sequences,
                            double cached);

/// The chain length from 0 (no drafts) to `most` with the least time per token.
int BestDraft(const plan::StepCost& cost, Drafting drafting, double acceptance, double sequences, double cached,
              int most);

}  // namespace isochrone::study
