#pragma once

#include <array>
#include <compare>
#include <vector>

#include "plan/plan.h"
#include "plan/schedule.h"
#include "sim/order_graph.h"
#include "sim/order_paths.h"
#include "study/terms/block_terms.h"

namespace isochrone::study {

/// What decides the paths of an order: its shape up to the steady state, how its messages behave, and how large its
/// stages are.
struct PathsKey {
  std::array<int, 4> core{};  // schedule, ranks, chunks, microbatches
  plan::MessageMode mode = plan::MessageMode::kOverlapped;
  std::vector<int> kind;              // [stage]
  std::vector<double> layers, heads;  // [kind]
  auto operator<=>(const PathsKey&) const = default;
};
PathsKey KeyOfPaths(const plan::ScheduleShape& shape, const StageCut& cut, plan::MessageMode mode);

/// The order that paths of `core` are found in.
sim::OrderGraph OrderOf(const std::array<int, 4>& core);

/// Paths of `order`, which is that of key.core, where stages have these numbers of layers, found at the ratios of
/// passes, heads and messages that transformers have: backward halves of 1.15 to 2.2 and 0.45 to 0.95 forward passes
/// (recomputation is part of the first), a head of half a layer or two, messages of a twentieth or a third of a layer's
/// forward pass.
sim::OrderPaths PathsOf(const PathsKey& key, const sim::OrderGraph& order);

}  // namespace isochrone::study
