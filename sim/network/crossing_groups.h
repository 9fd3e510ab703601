#pragma once

#include <map>
#include <tuple>
#include <vector>

#include "plan/layout.h"
#include "sim/network/crossing.h"

namespace isochrone::sim::network {

/// One group of a kind, with what its members send each other between nodes per byte of the collective.
struct CrossingGroup {
  struct Hop {
    int src = 0, dst = 0;  // hosts
    double bytes = 0;      // per byte of the collective
    Seconds latency;       // of the route
  };
  std::vector<int> ranks;  // of the world, ascending
  std::vector<Hop> hops;
};

/// Every group of a kind that leaves its node.
struct CrossingGroups {
  std::vector<std::vector<CrossingGroup>> of_rank;  // [pipeline rank]
  /// Seconds a byte of the collective takes where all groups of the world move theirs at once and only cards and
  /// what lies inside nodes limits them: what the closed forms count as the transfer.
  double seconds_per_byte = 0;
  int Hops(int pipeline_rank) const;
};

/// Finds them once for each group, kind and algorithm.
class CrossingGroupTable {
 public:
  CrossingGroupTable(const plan::Layout& layout, const Topology& topology, const std::vector<int>& host_of_rank)
      : layout_(layout), topology_(topology), host_of_rank_(host_of_rank) {}

  const CrossingGroups& Of(const plan::Collective& op, plan::collectives::Algorithm algorithm);
  /// Whether any group of the kind has ranks in more than one node.
  bool SpansNodes(plan::Group group);

 private:
  CrossingGroups Find(const plan::Collective& op, plan::collectives::Algorithm algorithm) const;
  double SecondsPerByte(const CrossingGroups& groups) const;

  const plan::Layout& layout_;
  const Topology& topology_;
  const std::vector<int>& host_of_rank_;
  std::map<std::tuple<plan::Group, plan::CollectiveKind, plan::collectives::Algorithm>, CrossingGroups> known_;
  std::map<plan::Group, bool> spans_;
};

}  // namespace isochrone::sim::network
