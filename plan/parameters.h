#pragma once

#include <cstdint>

#include "base/units.h"
#include "plan/scenario.h"

namespace isochrone::plan {

/// Parameters of a whole model by what they belong to, in closed form. docs/equations.md derives each line.
struct ParameterCount {
  double embedding = 0;      // V H, and S H of learned positions
  double head = 0;           // V H of an output table of its own; 0 where it is tied
  double attention = 0;      // projections, of all layers
  double mamba = 0;          // Mamba-2 mixers
  double mlp = 0;            // dense MLPs and shared experts
  double experts = 0;        // routed experts
  double router = 0;         // their gates
  double normalization = 0;  // of layers, of latent attention, and the last
  double multi_token = 0;    // multi-token-prediction modules, whole
  double speech = 0;         // convolutions, recurrent and connected layers of a speech model, with their norms
  double idle_experts = 0;   // of `experts` and `multi_token`: those that one token does not visit

  double Total() const {
    return embedding + head + attention + mamba + mlp + experts + router + normalization + multi_token + speech;
  }
  /// Parameters that one token passes.
  double Active() const { return Total() - idle_experts; }
};

/// Counts what the model holds once, whatever the degrees.
ParameterCount ParametersOf(const Model& model);

/// Rows of the table that Megatron-LM makes for `tokens`: the next multiple of `divisible_by` · tensor
/// (--make-vocab-size-divisible-by).
std::int64_t MegatronVocabulary(std::int64_t tokens, std::int64_t tensor, std::int64_t divisible_by = 128);
/// Rows of the table that a framework of Megatron's makes for a vocabulary of `tokens`: those, where tensor ranks get
/// equal parts in whole eights of them (as if they had been padded already), else padded. Others leave it as it is.
std::int64_t TrainedVocabulary(const Scenario& scenario, std::int64_t tokens);

/// Keys that a query is counted to see: all S, or with a causal mask and windows only those it attends to.
enum class AttentionCount : std::uint8_t { kFull, kMasked };

/// Floating-point operations of matrix products (and scans and convolutions) that one step needs, nothing recomputed:
///
///   F = 3 B S (2 W + attention + scan)
///
/// 3          forward once, backward twice
/// B          sequences of the step; S their length
/// W          parameters of matrices that one token passes: projections, MLPs, topk experts, routers, the output table
/// attention  4 A D keys a layer for multi-head attention: QKᵀ and PV
/// Source     Narayanan et al., arXiv 2104.04473, appendix (there with one more forward pass for full recompute:
///            96 B S L H² (1 + S/6H + V/16LH)); Korthikanti et al., arXiv 2205.05198, equation 7.
Flops ModelFlops(const Model& model, double sequences, AttentionCount count);

}  // namespace isochrone::plan
