#include "plan/stages.h"

#include <algorithm>

#include "base/error.h"

namespace isochrone::plan {
namespace {

bool IsVShaped(ScheduleKind kind) {
  return kind == ScheduleKind::kZbV || kind == ScheduleKind::kVHalf || kind == ScheduleKind::kVMin ||
         kind == ScheduleKind::kDualPipeV;
}

/// ceil(layers / stages) each, less one from the ends inwards until the sum is right.
std::vector<int> FromTheEnds(int layers, int stages) {
  std::vector<int> split(static_cast<std::size_t>(stages), (layers + stages - 1) / stages);
  int surplus = split.empty() ? 0 : split[0] * stages - layers;  // less than `stages`
  for (int i = 0; surplus > 0; ++i, --surplus) {
    --split[static_cast<std::size_t>(i % 2 == 0 ? stages - 1 - i / 2 : i / 2)];
  }
  return split;
}

/// ceil(layers / stages) each, the surplus taken from the last as far as it has layers, then from the one before.
std::vector<int> FromTheLast(int layers, int stages) {
  const int each = (layers + stages - 1) / stages;
  std::vector<int> split(static_cast<std::size_t>(stages), each);
  int surplus = each * stages - layers;
  for (auto stage = split.rbegin(); surplus > 0; ++stage) {
    const int taken = std::min(surplus, *stage);
    *stage -= taken;
    surplus -= taken;
  }
  return split;
}

std::vector<int> WithEmbeddingCounted(int layers, int stages) {
  std::vector<int> split(static_cast<std::size_t>(stages), (layers + 2) / stages);
  for (int i = 0; i < (layers + 2) % stages; ++i) ++split[static_cast<std::size_t>(i)];
  --split.front();
  --split.back();
  return split;
}

}  // namespace

int ChunksOf(const Strategy& strategy) {
  const bool two = IsVShaped(strategy.schedule) || strategy.schedule == ScheduleKind::kDualPipe;
  return two ? 2 : strategy.chunks_per_rank;
}

int StagesOf(const Strategy& strategy) {
  return strategy.schedule == ScheduleKind::kDualPipe ? strategy.pipeline : strategy.pipeline * ChunksOf(strategy);
}

std::vector<int> LayersPerStage(const Scenario& scenario) {
  const Strategy& strategy = scenario.strategy;
  const int stages = StagesOf(strategy), layers = scenario.model.layers;
  if (stages == 1) return {layers};
  const int first = strategy.first_stage_layers, last = strategy.last_stage_layers;
  if (first == 0 && last == 0) {
    if (strategy.account_embedding_in_split) return WithEmbeddingCounted(layers, stages);
    return scenario.model.mtp_layers > 0 ? FromTheLast(layers, stages) : FromTheEnds(layers, stages);
  }
  const int others = stages - (first > 0) - (last > 0), rest = layers - first - last;
  ISO_CHECK(others > 0 ? rest >= 0 : rest == 0);
  std::vector<int> split = FromTheEnds(rest, others);
  if (first > 0) split.insert(split.begin(), first);
  if (last > 0) split.push_back(last);
  return split;
}

}  // namespace isochrone::plan
