#include "sim/network/group_collective.h"

#include "base/error.h"
#include "plan/collectives/algorithms.h"

namespace isochrone::sim::network {

namespace c = plan::collectives;
using plan::CollectiveKind;

namespace {

/// Rings for groups that are too large to step through. Reduce-scatter inside the nodes, rings between them for each
/// place in a node, all-gather inside.
class FluidRings {
 public:
  FluidRings(NetworkGraph* graph, const Topology& topology, int per_node, Bytes size, int label)
      : graph_(graph), topology_(topology), per_node_(per_node), size_(size), label_(label) {}

  void Inside(Participants* who) const {
    const int ranks = static_cast<int>(who->hosts.size());
    for (int first = 0; per_node_ > 1 && first < ranks; first += per_node_)
      Ring(who, first, 1, per_node_, size_, per_node_ - 1);
  }
  void Between(Participants* who, int turns) const {
    const int nodes = static_cast<int>(who->hosts.size()) / per_node_;
    for (int place = 0; nodes > 1 && place < per_node_; ++place)
      Ring(who, place, per_node_, nodes, size_ / per_node_, turns * (nodes - 1));
  }

 private:
  void Ring(Participants* who, int first, int stride, int count, Bytes size, int steps) const {
    Participants ring;
    for (int i = 0; i < count; ++i) {
      ring.hosts.push_back(who->hosts[first + i * stride]);
      ring.begin.push_back(who->begin[first + i * stride]);
    }
    const std::vector<int> ends = AddFluidRing(graph_, topology_, ring, size, steps, label_);
    for (int i = 0; i < count; ++i) who->begin[first + i * stride] = ends[i];
  }

  NetworkGraph* graph_;
  const Topology& topology_;
  int per_node_;
  Bytes size_;
  int label_;
};

std::vector<int> AddFluid(NetworkGraph* graph, const Topology& topology, Participants who, CollectiveKind kind,
                          Bytes size, int label) {
  const FluidRings rings(graph, topology, HostsPerNode(topology, who.hosts), size, label);
  if (kind == CollectiveKind::kAllGather) {
    rings.Between(&who, 1);
    rings.Inside(&who);
  } else {
    rings.Inside(&who);
    rings.Between(&who, kind == CollectiveKind::kAllReduce ? 2 : 1);
    if (kind == CollectiveKind::kAllReduce) rings.Inside(&who);
  }
  return who.begin;
}

}  // namespace

int HostsPerNode(const Topology& topology, const std::vector<int>& hosts) {
  const int ranks = static_cast<int>(hosts.size());
  int per_node = 1;
  while (per_node < ranks && topology.NodeOf(hosts[per_node]) == topology.NodeOf(hosts[0])) ++per_node;
  if (ranks % per_node != 0) return 1;
  for (int i = 0; i < ranks; ++i) {
    const bool same = topology.NodeOf(hosts[i]) == topology.NodeOf(hosts[i - i % per_node]);
    if (!same || (i % per_node == 0 && i > 0 && topology.NodeOf(hosts[i]) == topology.NodeOf(hosts[i - 1]))) return 1;
  }
  return per_node;
}

std::vector<int> AddGroupCollective(NetworkGraph* graph, const Topology& topology, const Participants& who,
                                    CollectiveKind kind, Bytes bytes, int label) {
  const int ranks = static_cast<int>(who.hosts.size());
  const int per_node = HostsPerNode(topology, who.hosts);
  const auto add = [&](const c::StepList& list, Bytes size) { return AddSteps(graph, list, who, size, label); };
  const int ring_steps = kind == CollectiveKind::kAllReduce ? 2 * (ranks - 1) : ranks - 1;
  const bool too_many = std::int64_t{ring_steps} * ranks > kMostSteppedMessages;
  switch (kind) {
    case CollectiveKind::kAllReduce:
      if (too_many) return AddFluid(graph, topology, who, kind, bytes, label);
      return add(c::HierarchicalAllReduce(ranks, per_node), bytes);
    case CollectiveKind::kReduceScatter:
      if (too_many) return AddFluid(graph, topology, who, kind, bytes, label);
      return add(c::HierarchicalReduceScatter(ranks, per_node), bytes);
    case CollectiveKind::kAllGather:
      if (too_many) return AddFluid(graph, topology, who, kind, bytes, label);
      return add(c::HierarchicalAllGather(ranks, per_node), bytes);
    case CollectiveKind::kBroadcast:
      return add(c::ChainBroadcast(ranks, 8), bytes);
    case CollectiveKind::kAllToAll:
      return add(c::PairwiseAllToAll(ranks), bytes * ranks);
    case CollectiveKind::kRing:
      return AddFluidRing(graph, topology, who, bytes * ranks, 1, label);
  }
  ISO_CHECK(false);
  return {};
}

}  // namespace isochrone::sim::network
