#pragma once

#include <array>
#include <compare>
#include <optional>
#include <vector>

#include "plan/plan.h"
#include "plan/schedule.h"
#include "sim/order_graph.h"
#include "sim/order_paths.h"
#include "study/search/block_terms.h"

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

/// Paths of an order whose stages have these numbers of layers, found at the ratios of passes, heads and messages that
/// transformers have: backward halves of 1.15 to 2.2 and 0.45 to 0.95 forward passes (recomputation is part of the
/// first), a head of half a layer or two, messages of a twentieth or a third of a layer's forward pass.
class PathFinder {
 public:
  /// Keeps the order that it was last asked about: the next question often is about the same.
  sim::OrderPaths PathsOf(const PathsKey& key);

 private:
  std::array<int, 4> core_{};
  std::optional<sim::OrderGraph> graph_;
};

}  // namespace isochrone::study
