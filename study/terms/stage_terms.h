#pragma once

#include <span>
#include <vector>

#include "plan/scenario.h"
#include "study/terms/block_terms.h"
#include "study/terms/held.h"

namespace isochrone::study {

/// What the stages of one cut cost, one entry per kind of stage: seconds per microbatch, and bytes.
struct StageTerms {
  const StageCut* cut = nullptr;
  std::vector<double> forward, backward, input, weight;
  std::vector<double> forward_compute, forward_exposed, backward_compute, backward_exposed;  // of an overlapped pair
  std::vector<double> parameters;
  std::vector<double> held;                             // [hold · kinds + kind]
  std::vector<double> forward_before, backward_before;  // [rank] of all stages before its first
};

/// Adds layers up to stages; `into` keeps its memory, so that in a loop nothing is allocated, and refers to `cut`.
///
/// batch  seconds of the host in every forward pass (costmodel::Costs::HostOfBatch)
void AddUpStages(const plan::Strategy& strategy, const BlockShape& blocks, std::span<const LayerTerms> prices,
                 double batch, const StageCut& cut, StageTerms& into);

/// Most bytes of activations, workspace and messages on each rank, into `bytes` [rank].
///
/// held      HeldByKind of the cut of `stages`
/// messages  on every rank
void ActivationBytes(const Held& held, const StageTerms& stages, double messages, std::span<double> bytes);

}  // namespace isochrone::study
