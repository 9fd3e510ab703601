#pragma once

#include <string>
#include <vector>

#include "plan/op.h"

namespace isochrone::plan {

/// Which ranks work together. world = tp · cp · dp · pp; a stage's tp · cp · dp ranks regroup for expert layers as
/// etp · ep · edp. Ranks are numbered with the first dimension of `order` innermost, Megatron's "tp-cp-ep-dp-pp".
struct Layout {
  int tp = 1, cp = 1, dp = 1, pp = 1;
  int ep = 1, etp = 1;
  int shard = 0;                            // ranks of dp · cp that hold one copy of sharded state; 0: all
  int gpus_per_node = 8;                    // GPUs that share the fast tier (an NVLink domain)
  int root_gpus = 0;                        // of them, how many hang on one socket's PCIe; 0: no path is shared
  bool pipeline_innermost_of_data = false;  // order tp-cp-pp-dp instead of tp-cp-dp-pp

  int World() const { return tp * cp * dp * pp; }
  int Shard() const { return shard > 0 ? shard : dp * cp; }
  int Edp() const { return tp * cp * dp / (ep * etp); }
  bool operator==(const Layout&) const = default;
};

/// How a group of ranks sits on the machine: `size` ranks, `per_node` of them in each of `nodes` nodes.
/// `sharing`: groups of the same kind that cross the same node boundary at once, and so share its NICs; of groups
/// inside a node, those that cross at once from one socket's PCIe to the other's.
struct GroupShape {
  int size = 1, per_node = 1, nodes = 1, sharing = 1;
  bool operator==(const GroupShape&) const = default;
};

/// The group of `kind` that holds rank 0, as it lies on nodes. All groups of a kind have the same shape when the
/// degrees divide the node; otherwise the worst one (most nodes) is returned.
GroupShape ShapeOf(const Layout& layout, Group kind);

/// Ranks of the group of `kind` that holds `rank`, ascending.
std::vector<int> RanksOf(const Layout& layout, Group kind, int rank);

/// Coordinates of a rank.
struct Coordinates {
  int tp = 0, cp = 0, dp = 0, pp = 0;
};
Coordinates CoordinatesOf(const Layout& layout, int rank);
int RankAt(const Layout& layout, const Coordinates& at);

/// True when neighbours in the pipeline lie in different nodes, in any replica.
bool PipelineCrossesNodes(const Layout& layout);
/// The same of the pipeline ranks `from` and `to` alone.
bool PipelineCrossesNodes(const Layout& layout, int from, int to);
/// True when a node holds neighbours in the pipeline, though not the whole of it.
bool NodesHoldSeveralStages(const Layout& layout);

}  // namespace isochrone::plan
