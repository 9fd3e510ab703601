#include "sim/network/group_collective.h"

#include <bit>

#include "base/error.h"
#include "plan/collectives/algorithms.h"

namespace isochrone::sim::network {

namespace c = plan::collectives;
using plan::CollectiveKind;

namespace {

constexpr int kPieces = 8;  // of what goes up and down trees and chains

/// Flows for groups that are too large to step through. Reduce-scatter rings inside the nodes, then between them for
/// each place in a node, all-gather rings inside.
class Fluid {
 public:
  Fluid(NetworkGraph* graph, const Topology& topology, int per_node, Bytes size, int label)
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
  /// An all-reduce by trees, or by halving and doubling.
  void Between(Participants* who, c::Algorithm algorithm) const {
    const int nodes = static_cast<int>(who->hosts.size()) / per_node_;
    for (int place = 0; nodes > 1 && place < per_node_; ++place) {
      const Participants part = Part(*who, place, per_node_, nodes);
      TakeEnds(who, place, per_node_, Exchange(part, algorithm));
    }
  }

 private:
  static Participants Part(const Participants& who, int first, int stride, int count) {
    Participants part;
    for (int i = 0; i < count; ++i) {
      part.hosts.push_back(who.hosts[first + i * stride]);
      part.begin.push_back(who.begin[first + i * stride]);
    }
    return part;
  }
  static void TakeEnds(Participants* who, int first, int stride, const std::vector<int>& ends) {
    for (std::size_t i = 0; i < ends.size(); ++i) who->begin[first + i * stride] = ends[i];
  }

  void Ring(Participants* who, int first, int stride, int count, Bytes size, int steps) const {
    const Participants ring = Part(*who, first, stride, count);
    TakeEnds(who, first, stride, AddFluidRing(graph_, topology_, ring, size, steps, label_));
  }

  std::vector<int> Exchange(const Participants& part, c::Algorithm algorithm) const {
    const plan::Collective op{CollectiveKind::kAllReduce, plan::Group::kData, size_ / per_node_, {}, 1};
    const auto nodes = static_cast<unsigned>(part.hosts.size());
    const bool hands_over = algorithm == c::Algorithm::kHalvingDoubling && !std::has_single_bit(nodes);
    const int halves = hands_over ? std::bit_width(nodes) - 1 : std::bit_width(nodes - 1);
    return AddFluidHops(graph_, topology_, part, CrossingHops(topology_, part.hosts, op, algorithm),
                        2 * halves + (hands_over ? 2 : 0), label_);
  }

  NetworkGraph* graph_;
  const Topology& topology_;
  int per_node_;
  Bytes size_;
  int label_;
};

std::vector<int> AddFluid(NetworkGraph* graph, const Topology& topology, Participants who, const plan::Collective& op,
                          c::Algorithm algorithm, int label) {
  const Fluid fluid(graph, topology, HostsPerNode(topology, who.hosts), op.bytes, label);
  if (op.kind == CollectiveKind::kAllGather) {
    fluid.Between(&who, 1);
    fluid.Inside(&who);
    return who.begin;
  }
  fluid.Inside(&who);
  if (algorithm == c::Algorithm::kRing) fluid.Between(&who, op.kind == CollectiveKind::kAllReduce ? 2 : 1);
  else fluid.Between(&who, algorithm);
  if (op.kind == CollectiveKind::kAllReduce) fluid.Inside(&who);
  return who.begin;
}

c::StepList AllReduceSteps(c::Algorithm algorithm, int ranks, int per_node) {
  switch (algorithm) {
    case c::Algorithm::kTree:
      return c::DoubleBinaryTreeAllReduce(ranks, kPieces);
    case c::Algorithm::kHalvingDoubling:
      return c::HalvingDoublingAllReduce(ranks);
    case c::Algorithm::kRing:
      break;
  }
  return c::HierarchicalAllReduce(ranks, per_node);
}

std::int64_t MessagesOf(CollectiveKind kind, c::Algorithm algorithm, int ranks) {
  const std::int64_t n = ranks;
  if (kind != CollectiveKind::kAllReduce) return (n - 1) * n;
  if (algorithm == c::Algorithm::kTree) return 4 * (n - 1) * kPieces;
  if (algorithm == c::Algorithm::kHalvingDoubling) return 2 * n * std::bit_width(static_cast<unsigned>(ranks));
  return 2 * (n - 1) * n;
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
                                    const plan::Collective& op, c::Algorithm algorithm, int label) {
  const int ranks = static_cast<int>(who.hosts.size());
  const int per_node = HostsPerNode(topology, who.hosts);
  if (op.kind != CollectiveKind::kAllReduce || per_node == ranks) algorithm = c::Algorithm::kRing;
  const auto add = [&](const c::StepList& list, Bytes size) { return AddSteps(graph, list, who, size, label); };
  const bool as_flows = MessagesOf(op.kind, algorithm, ranks) > kMostSteppedMessages ||
                        (algorithm != c::Algorithm::kRing && per_node > 1);
  switch (op.kind) {
    case CollectiveKind::kAllReduce:
      if (as_flows) return AddFluid(graph, topology, who, op, algorithm, label);
      return add(AllReduceSteps(algorithm, ranks, per_node), op.bytes);
    case CollectiveKind::kReduceScatter:
      if (as_flows) return AddFluid(graph, topology, who, op, algorithm, label);
      return add(c::HierarchicalReduceScatter(ranks, per_node), op.bytes);
    case CollectiveKind::kAllGather:
      if (as_flows) return AddFluid(graph, topology, who, op, algorithm, label);
      return add(c::HierarchicalAllGather(ranks, per_node), op.bytes);
    case CollectiveKind::kBroadcast:
      return add(c::ChainBroadcast(ranks, kPieces), op.bytes);
    case CollectiveKind::kAllToAll:
      return add(c::PairwiseAllToAll(ranks), op.bytes * ranks);
    case CollectiveKind::kRing:
      return AddFluidRing(graph, topology, who, op.bytes * ranks, 1, label);
  }
  ISO_CHECK(false);
  return {};
}

}  // namespace isochrone::sim::network
