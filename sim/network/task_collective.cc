#include "sim/network/task_collective.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <tuple>

namespace isochrone::sim::network {

using plan::CollectiveKind;
using plan::collectives::Algorithm;

namespace {

/// The same traffic in the least number of kinds.
TaskCollective Canonical(TaskCollective c) {
  if (c.op.kind != CollectiveKind::kAllReduce) c.algorithm = Algorithm::kRing;
  if (c.op.kind == CollectiveKind::kReduceScatter) c.op.kind = CollectiveKind::kAllGather;
  if (c.op.kind == CollectiveKind::kAllReduce && c.algorithm == Algorithm::kRing) {
    c.op.kind = CollectiveKind::kAllGather;
    c.op.bytes *= 2;
  }
  if (c.op.kind == CollectiveKind::kAllToAll) c.op.bytes *= c.op.imbalance;
  c.op.imbalance = 1;
  return c;
}

auto WayOf(const TaskCollective& c) { return std::make_tuple(c.stream, c.op.group, c.op.kind, c.algorithm); }

void Join(const TaskCollective& next, TaskCollective* all) {
  const double hidden = (all->end - all->begin - all->alone) + (next.end - next.begin - next.alone);
  all->op.bytes += next.op.bytes;
  all->end = std::max(all->end, next.end);
  all->alone = std::max(0.0, all->end - all->begin - hidden);
}

}  // namespace

bool SameWay(const TaskCollective& a, const TaskCollective& b) { return WayOf(Canonical(a)) == WayOf(Canonical(b)); }

std::vector<TaskCollective> Merged(const std::vector<TaskCollective>& all, double share) {
  std::map<decltype(WayOf(all[0])), std::vector<TaskCollective>> ways;
  for (const TaskCollective& c : all) {
    const TaskCollective canonical = Canonical(c);
    ways[WayOf(canonical)].push_back(canonical);
  }
  std::vector<TaskCollective> merged;
  for (const auto& [unused, way] : ways) {
    const auto count = static_cast<double>(way.size());
    const double parts = std::clamp(std::floor(share * count), 1.0, count);
    int last = -1;
    for (std::size_t i = 0; i < way.size(); ++i) {
      const int part = static_cast<int>(static_cast<double>(i) * parts / count);
      if (part == last) Join(way[i], &merged.back());
      else merged.push_back(way[i]);
      last = part;
    }
  }
  std::stable_sort(merged.begin(), merged.end(),
                   [](const TaskCollective& a, const TaskCollective& b) { return a.begin < b.begin; });
  return merged;
}

}  // namespace isochrone::sim::network
