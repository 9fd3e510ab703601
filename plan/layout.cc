#include "plan/layout.h"

#include <algorithm>
#include <cstdint>
#include <optional>

#include "base/error.h"

namespace isochrone::plan {
namespace {

/// A dimension of a group: `count` members, each `stride` ranks after the one before.
struct Axis {
  std::int64_t stride = 1, count = 1;
};
using Axes = std::vector<Axis>;

std::int64_t StageSize(const Layout& l) { return std::int64_t{1} * l.tp * l.cp * l.dp; }

/// Strides of the dense dimensions.
Axis Tensor(const Layout& l) { return {1, l.tp}; }
Axis Context(const Layout& l) { return {l.tp, l.cp}; }
Axis Data(const Layout& l) { return {std::int64_t{1} * l.tp * l.cp * (l.pipeline_innermost_of_data ? l.pp : 1), l.dp}; }
Axis Pipeline(const Layout& l) {
  return {l.pipeline_innermost_of_data ? std::int64_t{1} * l.tp * l.cp : StageSize(l), l.pp};
}

/// The ranks of a stage, counted from 0, are regrouped as etp (inner), ep, edp.
Axis ExpertAxis(const Layout& l, Group kind) {
  if (kind == Group::kExpertTensor) return {1, l.etp};
  if (kind == Group::kExpert) return {l.etp, l.ep};
  return {std::int64_t{1} * l.etp * l.ep, l.Edp()};
}

bool IsExpert(Group kind) {
  return kind == Group::kExpert || kind == Group::kExpertTensor || kind == Group::kExpertData;
}

/// The first `count` of them.
Axis Context(const Layout& l, std::int64_t count) { return {Context(l).stride, count}; }
Axis Data(const Layout& l, std::int64_t count) { return {Data(l).stride, count}; }

Axes AxesOf(const Layout& l, Group kind) {
  switch (kind) {
    case Group::kTensor:
      return {Tensor(l)};
    case Group::kContext:
      return {Context(l)};
    case Group::kData:
      return {Data(l)};
    case Group::kDataContext:
      return {Context(l), Data(l)};
    case Group::kShard:
      return {Context(l, std::min(l.cp, l.Shard())), Data(l, std::max(1, l.Shard() / l.cp))};
    case Group::kReplica: {
      const int inside = std::min(l.cp, l.Shard()), shards = std::max(1, l.Shard() / l.cp);
      return {{Context(l).stride * inside, l.cp / inside}, {Data(l).stride * shards, l.dp / shards}};
    }
    case Group::kPipeline:
    case Group::kEmbedding:  // the two ends of it
    case Group::kTwin:       // two that lie as far from either end
      return {Pipeline(l)};
    case Group::kModel:
      return {Tensor(l), Pipeline(l)};
    case Group::kWorld:
      return {{1, StageSize(l) * l.pp}};
    case Group::kExpert:
    case Group::kExpertTensor:
    case Group::kExpertData:
      return {ExpertAxis(l, kind)};
  }
  return {};
}

/// Position of a rank among the ranks of its stage, and back.
std::int64_t InStage(const Layout& l, const Coordinates& at) {
  return at.tp + std::int64_t{1} * l.tp * (at.cp + std::int64_t{1} * l.cp * at.dp);
}
Coordinates FromStage(const Layout& l, std::int64_t position, int stage) {
  Coordinates at;
  at.tp = static_cast<int>(position % l.tp);
  at.cp = static_cast<int>(position / l.tp % l.cp);
  at.dp = static_cast<int>(position / l.tp / l.cp);
  at.pp = stage;
  return at;
}

std::vector<int> ExpertRanks(const Layout& l, Group kind, int rank) {
  const Coordinates at = CoordinatesOf(l, rank);
  const std::int64_t position = InStage(l, at);
  const Axis axis = ExpertAxis(l, kind);
  const std::int64_t mine = position / axis.stride % axis.count;
  std::vector<int> ranks;
  for (std::int64_t i = 0; i < axis.count; ++i) {
    ranks.push_back(RankAt(l, FromStage(l, position + (i - mine) * axis.stride, at.pp)));
  }
  return ranks;
}

/// The axes of expert groups as strides of ranks, where they have such: not all regroupings do when the pipeline is
/// numbered inside the data dimension and a stage's ranks are therefore not in a row.
std::optional<Axes> ExpertAxes(const Layout& l, Group kind) {
  const Axis axis = ExpertAxis(l, kind);
  const std::int64_t row = std::int64_t{1} * l.tp * l.cp, span = axis.stride * axis.count;
  if (!l.pipeline_innermost_of_data || l.pp == 1 || axis.count == 1 || row % span == 0) return Axes{axis};
  if (axis.stride % row == 0) return Axes{{axis.stride * l.pp, axis.count}};
  if (row % axis.stride == 0 && span % row == 0)
    return Axes{{axis.stride, row / axis.stride}, {row * l.pp, span / row}};
  return std::nullopt;
}

/// True when every group over these axes lies on nodes of `gpus` GPUs in the same way.
bool IsRegular(const Axes& axes, std::int64_t gpus) {
  return std::all_of(axes.begin(), axes.end(), [&](const Axis& axis) {
    if (axis.count == 1) return true;
    if (axis.stride >= gpus) return axis.stride % gpus == 0;
    const std::int64_t span = axis.stride * axis.count;
    return gpus % axis.stride == 0 && (span <= gpus ? gpus % span == 0 : span % gpus == 0);
  });
}

GroupShape RegularShape(const Axes& axes, std::int64_t gpus, std::int64_t world) {
  GroupShape shape;
  std::int64_t size = 1, per_node = 1;
  for (const Axis& axis : axes) {
    size *= axis.count;
    if (axis.stride < gpus) per_node *= std::min(axis.count, gpus / axis.stride);
  }
  shape.size = static_cast<int>(size);
  shape.per_node = static_cast<int>(per_node);
  shape.nodes = static_cast<int>(size / per_node);
  if (shape.nodes > 1) shape.sharing = static_cast<int>(std::min(gpus, world) / per_node);
  return shape;
}

/// True for the lowest rank of a group, which stands for it.
bool IsFirst(const Layout& l, Group kind, int rank) {
  if (IsExpert(kind)) {
    const Axis axis = ExpertAxis(l, kind);
    return InStage(l, CoordinatesOf(l, rank)) / axis.stride % axis.count == 0;
  }
  if (kind == Group::kEmbedding) return CoordinatesOf(l, rank).pp < l.pp - 1 || l.pp == 1;
  if (kind == Group::kTwin) return 2 * CoordinatesOf(l, rank).pp < l.pp;
  const Axes axes = AxesOf(l, kind);
  return std::all_of(axes.begin(), axes.end(), [&](const Axis& a) { return rank / a.stride % a.count == 0; });
}

/// How many ranks of a group, in ascending order, each node holds that holds any.
struct NodeCount {
  int node = 0, ranks = 0;
};
std::vector<NodeCount> NodesOf(const std::vector<int>& ranks, int gpus) {
  std::vector<NodeCount> nodes;
  for (int rank : ranks) {
    if (nodes.empty() || nodes.back().node != rank / gpus) nodes.push_back({rank / gpus, 0});
    ++nodes.back().ranks;
  }
  return nodes;
}

/// The same by looking at every group: the one on the most nodes, with the fewest ranks in its fullest one. Takes time
/// in proportion to the world.
GroupShape WorstShape(const Layout& l, Group kind) {
  std::vector<int> crossing(
      static_cast<std::size_t>((l.World() - 1) / l.gpus_per_node + 1));  // groups that leave a node
  GroupShape worst;
  for (int rank = 0; rank < l.World(); ++rank) {
    if (!IsFirst(l, kind, rank)) continue;
    const std::vector<int> ranks = RanksOf(l, kind, rank);
    const std::vector<NodeCount> on = NodesOf(ranks, l.gpus_per_node);
    const int nodes = static_cast<int>(on.size());
    int fullest = 0;
    for (const NodeCount& n : on) {
      fullest = std::max(fullest, n.ranks);
      if (nodes > 1) ++crossing[static_cast<std::size_t>(n.node)];
    }
    worst.size = std::max(worst.size, static_cast<int>(ranks.size()));
    if (nodes > worst.nodes || (nodes == worst.nodes && nodes > 1 && fullest < worst.per_node)) {
      worst.nodes = nodes;
      worst.per_node = fullest;
    } else if (nodes == 1 && worst.nodes == 1) {
      worst.per_node = std::max(worst.per_node, fullest);
    }
  }
  worst.sharing = std::max(1, *std::max_element(crossing.begin(), crossing.end()));
  return worst;
}

/// Groups of a kind inside one node that cross at once between its sockets: those that reach over more ranks than hang
/// on one of them.
int CrossingRoots(const Layout& l, const std::optional<Axes>& axes, int size) {
  if (l.root_gpus == 0 || !axes || size < 2) return 1;
  std::int64_t reach = 1;
  for (const Axis& axis : *axes) {
    if (axis.count > 1) reach = std::max(reach, axis.stride * axis.count);
  }
  if (reach <= l.root_gpus) return 1;
  return static_cast<int>(std::max<std::int64_t>(1, std::min<std::int64_t>(reach, l.gpus_per_node) / size));
}

}  // namespace

Coordinates CoordinatesOf(const Layout& l, int rank) {
  ISO_CHECK(rank >= 0 && rank < l.World());
  const auto along = [&](const Axis& axis) { return static_cast<int>(rank / axis.stride % axis.count); };
  return {along(Tensor(l)), along(Context(l)), along(Data(l)), along(Pipeline(l))};
}

int RankAt(const Layout& l, const Coordinates& at) {
  return static_cast<int>(at.tp * Tensor(l).stride + at.cp * Context(l).stride + at.dp * Data(l).stride +
                          at.pp * Pipeline(l).stride);
}

std::vector<int> RanksOf(const Layout& l, Group kind, int rank) {
  if (IsExpert(kind)) return ExpertRanks(l, kind, rank);
  if (kind == Group::kEmbedding) {
    Coordinates at = CoordinatesOf(l, rank);
    if (l.pp == 1 || (at.pp != 0 && at.pp != l.pp - 1)) return {rank};
    at.pp = 0;
    const int first = RankAt(l, at);
    at.pp = l.pp - 1;
    return {first, RankAt(l, at)};
  }
  if (kind == Group::kTwin) {
    Coordinates at = CoordinatesOf(l, rank);
    at.pp = l.pp - 1 - at.pp;
    const int twin = RankAt(l, at);
    return twin == rank ? std::vector<int>{rank} : std::vector<int>{std::min(rank, twin), std::max(rank, twin)};
  }
  std::int64_t origin = rank;
  const Axes axes = AxesOf(l, kind);
  for (const Axis& axis : axes) origin -= axis.count == 1 ? 0 : rank / axis.stride % axis.count * axis.stride;
  std::vector<int> ranks = {static_cast<int>(origin)};
  for (const Axis& axis : axes) {
    const std::vector<int> inner = ranks;
    for (std::int64_t i = 1; i < axis.count; ++i) {
      for (int r : inner) ranks.push_back(static_cast<int>(r + i * axis.stride));
    }
  }
  std::sort(ranks.begin(), ranks.end());
  return ranks;
}

GroupShape ShapeOf(const Layout& l, Group kind) {
  const std::int64_t gpus = l.gpus_per_node, world = StageSize(l) * l.pp;
  const std::optional<Axes> axes = IsExpert(kind) ? ExpertAxes(l, kind) : AxesOf(l, kind);
  if (world <= gpus) {
    const int size = static_cast<int>(RanksOf(l, kind, 0).size());
    return {size, size, 1, CrossingRoots(l, axes, size)};
  }
  if (kind == Group::kWorld) {
    return {static_cast<int>(world), l.gpus_per_node, static_cast<int>((world + gpus - 1) / gpus), 1};
  }
  const bool pair = kind == Group::kEmbedding || kind == Group::kTwin;
  if (pair && l.pp > 1 && IsRegular({Pipeline(l)}, gpus)) {
    const Axis pipeline = Pipeline(l);
    if (pipeline.stride * pipeline.count <= gpus) return {2, 2, 1, 1};
    const bool all_cross = kind == Group::kTwin;  // every stage has a twin, not the ends alone
    return {2, 1, 2, static_cast<int>(all_cross ? gpus : std::min(gpus, pipeline.stride))};
  }
  if (!pair && axes && IsRegular(*axes, gpus)) {
    GroupShape shape = RegularShape(*axes, gpus, world);
    if (shape.nodes == 1) shape.sharing = CrossingRoots(l, axes, shape.size);
    return shape;
  }
  return WorstShape(l, kind);
}

bool PipelineCrossesNodes(const Layout& l) {
  if (l.pp == 1 || l.World() <= l.gpus_per_node) return false;
  const Axis axis = Pipeline(l);
  return !l.pipeline_innermost_of_data || l.gpus_per_node % (axis.stride * axis.count) != 0;
}

bool PipelineCrossesNodes(const Layout& l, int from, int to) {
  for (int dp = 0; dp < l.dp; ++dp) {
    for (int cp = 0; cp < l.cp; ++cp) {
      for (int tp = 0; tp < l.tp; ++tp) {
        const int a = RankAt(l, {tp, cp, dp, from}), b = RankAt(l, {tp, cp, dp, to});
        if (a / l.gpus_per_node != b / l.gpus_per_node) return true;
      }
    }
  }
  return false;
}

bool NodesHoldSeveralStages(const Layout& l) {
  return PipelineCrossesNodes(l) && 2 * Pipeline(l).stride <= l.gpus_per_node;
}

}  // namespace isochrone::plan
