#pragma once

#include <vector>

#include "plan/scenario.h"

namespace isochrone::plan {

/// Chunks of layers on each pipeline rank. V-shaped and bidirectional schedules have two by construction; for all
/// others it is `chunks_per_rank`.
int ChunksOf(const Strategy& strategy);

/// Virtual stages that one microbatch passes: pipeline · chunks, or `pipeline` where a bidirectional schedule holds the
/// model twice (DualPipe).
int StagesOf(const Strategy& strategy);

/// Transformer layers of each virtual stage, in forward order; their sum is `layers`. Embedding, loss and
/// multi-token-prediction layers are not counted: the first is on the first stage, the others on the last.
///
/// Rule  `first_stage_layers` and `last_stage_layers` are taken where given. The other stages hold ceil(L/S) layers
///       each; where that is n too many, n stages hold one fewer: the last, the first, the second last, the second, and
///       so on, because embedding and loss make the ends the fullest. So S dividing L gives an even split, 70 layers on
///       12 stages give 5, 6 … 6, 5, and 126 on 128 leave the first and the last empty.
///       A model with multi-token-prediction layers gives the whole of n to the last stage, which holds those and
///       their loss beside its own: 61 layers on 16 stages are 4 … 4, 1, as DeepSeek-V3's recipes have it.
///       With `account_embedding_in_split`, embedding and loss count as a layer of the ends first: L + 2 are split
///       evenly, a remainder going to the earliest stages, and the ends then hold one fewer.
/// Source  Megatron-LM, --decoder-first-pipeline-num-layers, --decoder-last-pipeline-num-layers,
///         --account-for-embedding-in-pipeline-split, --account-for-loss-in-pipeline-split. (There the first two count
///         a rank's layers over all of its chunks, here those of the virtual stage.)
/// Requires  Check(scenario) passed.
std::vector<int> LayersPerStage(const Scenario& scenario);

}  // namespace isochrone::plan
