// Interleaved 1F1B: each rank holds v chunks, rank r's chunk c is stage c p + r. Microbatches advance in groups of p: a
// group passes chunk 0, then chunk 1, …
// Where m is no multiple of p, the order is that of the next multiple without the passes of the missing microbatches:
// Megatron's own table for a smaller last group waits in a circle for some (p, m), and Megatron refuses those.
// Source  Narayanan et al., arXiv 2104.04473, section 2.2.2; order and warm-up count as Megatron-LM runs them.
#include <algorithm>

#include "plan/schedules/family.h"

namespace isochrone::plan::schedules {

namespace {

void Check(const ScheduleShape& shape) {
  if (shape.chunks < 2) Refuse(shape, "needs at least 2 chunks a rank", "give 2 chunks a rank, or take 1f1b");
  if (shape.ranks < 2) Refuse(shape, "needs at least 2 ranks", "give 2 ranks, or take 1f1b with 1 chunk a rank");
}

struct Pass {
  int microbatch, chunk;
};

int WholeGroups(const ScheduleShape& shape) {
  return (shape.microbatches + shape.ranks - 1) / shape.ranks * shape.ranks;
}

/// Forward passes of any rank in order, for whole groups. Backward passes take the same list with chunks reversed.
std::vector<Pass> PassesInGroups(const ScheduleShape& shape) {
  std::vector<Pass> passes;
  const int whole = WholeGroups(shape);
  passes.reserve(whole * shape.chunks);
  for (int first = 0; first < whole; first += shape.ranks)
    for (int chunk = 0; chunk < shape.chunks; ++chunk)
      for (int i = first; i < first + shape.ranks; ++i) passes.push_back({i, chunk});
  return passes;
}

std::vector<Task> OrderOf(const ScheduleShape& shape, const std::vector<Pass>& passes, int rank) {
  std::vector<Task> order;
  order.reserve(2 * shape.microbatches * shape.chunks);
  const auto add = [&](Phase phase, int microbatch, int chunk) {
    if (microbatch < shape.microbatches) order.push_back(MakeTask(phase, microbatch, chunk));
  };
  const int n = static_cast<int>(passes.size());
  const int warmup = std::min(2 * (shape.ranks - rank - 1) + (shape.chunks - 1) * shape.ranks, n);
  for (int i = 0; i < warmup; ++i) add(Phase::kForward, passes[i].microbatch, passes[i].chunk);
  for (int i = 0; i < n; ++i) {
    if (warmup + i < n) add(Phase::kForward, passes[warmup + i].microbatch, passes[warmup + i].chunk);
    add(Phase::kBackward, passes[i].microbatch, shape.chunks - 1 - passes[i].chunk);
  }
  return order;
}

Schedule Build(const ScheduleShape& shape, const StageCosts&) {
  Schedule schedule{shape.kind, shape.microbatches, LoopPlacement(shape.ranks, shape.chunks), {}};
  const auto passes = PassesInGroups(shape);
  for (int rank = 0; rank < shape.ranks; ++rank) schedule.order.push_back(OrderOf(shape, passes, rank));
  return schedule;
}

/// makespan = (v m' + p − 1) t,  ideal = v m t,  peak = min((v + 1) p − 1, v m);  t the chunk's forward and backward
/// time, m' = m rounded up to a multiple of p: exact where m' = m, else a bound.
ScheduleTheory Theory(const ScheduleShape& shape, const StageCosts& costs) {
  const Seconds t = StageTime(costs);
  const int p = shape.ranks, v = shape.chunks, m = shape.microbatches, whole = WholeGroups(shape);
  const Seconds makespan = (v * whole + p - 1) * t;
  return {whole == m, makespan, makespan, v * m * t, double(std::min((v + 1) * p - 1, v * m))};
}

}  // namespace

const Family kInterleavedFamily{ScheduleKind::kInterleaved1f1b, "interleaved_1f1b", Check, Build, Theory};

}  // namespace isochrone::plan::schedules
