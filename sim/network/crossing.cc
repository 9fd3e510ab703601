#include "sim/network/crossing.h"

#include <bit>

#include "base/error.h"
#include "plan/collectives/algorithms.h"
#include "sim/network/group_collective.h"

namespace isochrone::sim::network {

namespace c = plan::collectives;
using plan::CollectiveKind;

namespace {

/// Hops between nodes, copied for each place in a node.
class Between {
 public:
  Between(const Topology& topology, const std::vector<int>& hosts, int per_node)
      : topology_(topology), hosts_(hosts), per_node_(per_node) {}

  int Nodes() const { return static_cast<int>(hosts_.size()) / per_node_; }
  void Send(int from, int to, Bytes bytes) {
    for (int place = 0; place < per_node_; ++place) {
      const int src = from * per_node_ + place, dst = to * per_node_ + place;
      if (topology_.NodeOf(hosts_[src]) != topology_.NodeOf(hosts_[dst])) hops_.push_back({src, dst, bytes});
    }
  }
  std::vector<CrossingHop> Take() { return std::move(hops_); }

 private:
  const Topology& topology_;
  const std::vector<int>& hosts_;
  int per_node_;
  std::vector<CrossingHop> hops_;
};

void AddRing(Between* between, Bytes bytes) {
  const int n = between->Nodes();
  for (int i = 0; i < n; ++i) between->Send(i, (i + 1) % n, bytes);
}

void AddTrees(Between* between, Bytes each_way) {
  for (const std::vector<int>& parent : c::DoubleBinaryTree(between->Nodes())) {
    for (int i = 0; i < between->Nodes(); ++i) {
      if (parent[i] < 0) continue;
      between->Send(i, parent[i], each_way);
      between->Send(parent[i], i, each_way);
    }
  }
}

void AddHalvingDoubling(Between* between, Bytes size) {
  const int n = between->Nodes(), core = static_cast<int>(std::bit_floor(static_cast<unsigned>(n)));
  for (int i = core; i < n; ++i) {
    between->Send(i, i - core, size);
    between->Send(i - core, i, size);
  }
  for (int distance = core / 2; distance >= 1; distance /= 2)
    for (int i = 0; i < core; ++i) between->Send(i, i ^ distance, size * (2.0 * distance / core));
}

void AddAllReduce(Between* between, c::Algorithm algorithm, Bytes size) {
  const double n = between->Nodes();
  switch (algorithm) {
    case c::Algorithm::kRing:
      return AddRing(between, size * (2 * (n - 1) / n));
    case c::Algorithm::kTree:
      return AddTrees(between, size / 2);
    case c::Algorithm::kHalvingDoubling:
      return AddHalvingDoubling(between, size);
  }
}

}  // namespace

std::vector<CrossingHop> CrossingHops(const Topology& topology, const std::vector<int>& hosts,
                                      const plan::Collective& op, c::Algorithm algorithm) {
  const int per_node = op.kind == CollectiveKind::kRing ? 1 : HostsPerNode(topology, hosts);
  Between between(topology, hosts, per_node);
  const int nodes = between.Nodes();
  const Bytes part = op.bytes / per_node;
  switch (op.kind) {
    case CollectiveKind::kAllReduce:
      AddAllReduce(&between, algorithm, part);
      break;
    case CollectiveKind::kAllGather:
    case CollectiveKind::kReduceScatter:
      AddRing(&between, part * ((nodes - 1.0) / nodes));
      break;
    case CollectiveKind::kBroadcast:
      for (int i = 0; i + 1 < nodes; ++i) between.Send(i, i + 1, part);
      break;
    case CollectiveKind::kAllToAll:
      for (int i = 0; i < nodes; ++i)
        for (int step = 1; step < nodes; ++step) between.Send(i, (i + step) % nodes, op.bytes * (op.imbalance / nodes));
      break;
    case CollectiveKind::kRing:
      AddRing(&between, op.bytes);
      break;
  }
  return between.Take();
}

}  // namespace isochrone::sim::network
