#include "sim/network/topology_builder.h"

#include <algorithm>
#include <numeric>
#include <unordered_map>

#include "base/error.h"
#include "base/json.h"

namespace isochrone::sim::network {

namespace {

int CeilDiv(int a, int b) { return (a + b - 1) / b; }

// A global hop counts as three local ones, so that the shortest route is the minimal one: local, global, local.
constexpr int kGlobalCost = 3;

}  // namespace

void TopologyBuilder::Refuse(const std::string& key, const std::string& what, const std::string& instead) const {
  throw Error(shape_.name + ": " + key, what, instead);
}

void TopologyBuilder::Build() {
  CheckNode();
  if (shape_.nodes > 1) CheckFabric();
  for (int node = 0; node < shape_.nodes; ++node) AddNode(node);
  t_.first_fabric_vertex_ = static_cast<int>(t_.vertices_.size());
  if (shape_.nodes > 1) AddFabric();
  ApplyChanges();
  IndexLiveLinks();
}

void TopologyBuilder::CheckNode() const {
  const NodeShape& n = shape_.node;
  if (shape_.nodes < 1) Refuse("nodes = " + std::to_string(shape_.nodes), "is no cluster", "give at least 1");
  if (n.gpus < 1) Refuse("node.gpus = " + std::to_string(n.gpus), "leaves a node empty", "give at least 1");
  if (n.inside != Inside::kPcie && n.nvlink_bandwidth.value <= 0)
    Refuse("node.nvlink_bandwidth", "must be above 0",
           "give the NVLink bandwidth of one GPU, or join the GPUs by PCIe");
  if (n.inside == Inside::kNvLinkPairs && n.gpus % 2 != 0)
    Refuse("node.gpus = " + std::to_string(n.gpus), "cannot be paired", "give an even number of GPUs");
  if (n.pcie_bandwidth.value <= 0)
    Refuse("node.pcie_bandwidth", "must be above 0", "give the bandwidth of one PCIe link, one direction");
  if (n.gpus_per_pcie_switch < 1) Refuse("node.gpus_per_pcie_switch", "must be at least 1", "give 1 or more");
  if (n.nics < 0 || (n.nics > 0 && n.nic_bandwidth.value <= 0))
    Refuse("node.nic_bandwidth", "must be above 0", "give the bandwidth of one card, one direction");
  if (n.nic_of_gpu.empty()) return;
  if (static_cast<int>(n.nic_of_gpu.size()) != n.gpus)
    Refuse("node.nic_of_gpu", "names a card for " + std::to_string(n.nic_of_gpu.size()) + " GPUs",
           "name one for each of the " + std::to_string(n.gpus) + " GPUs");
  for (const int nic : n.nic_of_gpu)
    if (nic < 0 || nic >= n.nics)
      Refuse("node.nic_of_gpu", "names card " + std::to_string(nic),
             "a node has " + std::to_string(n.nics) + " cards, counted from 0");
}

void TopologyBuilder::CheckFabric() const {
  const FabricShape& f = shape_.fabric;
  const bool leaves =
      f.kind == FabricKind::kFatTree2 || f.kind == FabricKind::kFatTree3 || f.kind == FabricKind::kRailOptimised;
  if (leaves && f.nodes_per_leaf < 1) Refuse("fabric.nodes_per_leaf", "must be at least 1", "give 1 or more");
  if (leaves && !(f.oversubscription > 0)) Refuse("fabric.oversubscription", "must be above 0", "1 is none, 2 is 2:1");
  if (f.kind == FabricKind::kFatTree3 && (f.leaves_per_pod < 1 || !(f.pod_oversubscription > 0)))
    Refuse("fabric.leaves_per_pod", "a three-level tree needs leaves_per_pod and pod_oversubscription above 0",
           "give both, or a two-level tree");
  if (f.kind == FabricKind::kDragonfly && (f.nodes_per_router < 1 || f.routers_per_group < 1 ||
                                           f.local_bandwidth.value <= 0 || f.global_bandwidth.value <= 0))
    Refuse("fabric", "a dragonfly needs nodes_per_router, routers_per_group, local and global bandwidth above 0",
           "give all four");
  if (f.kind != FabricKind::kTorus) return;
  const int points = std::accumulate(f.dimensions.begin(), f.dimensions.end(), 1, std::multiplies<>());
  if (f.dimensions.empty() || points != shape_.nodes)
    Refuse("fabric.dimensions", "multiply to " + std::to_string(points) + " points",
           "a torus has one node a point: make the product " + std::to_string(shape_.nodes));
  if (f.torus_bandwidth.value <= 0) Refuse("fabric.torus_bandwidth", "must be above 0", "give one direction");
}

int TopologyBuilder::AddVertex(VertexKind kind, int node, int index) {
  t_.vertices_.push_back({kind, node, index});
  return static_cast<int>(t_.vertices_.size()) - 1;
}

void TopologyBuilder::AddCable(int a, int b, BytesPerSecond bandwidth, Seconds latency, int cost) {
  t_.links_.push_back({a, b, bandwidth, latency, cost});
  t_.links_.push_back({b, a, bandwidth, latency, cost});
}

// NVLink comes first: where PCIe is as short, the lower link wins.
void TopologyBuilder::AddNvLinks(int node, int first_gpu) {
  const NodeShape& n = shape_.node;
  switch (n.inside) {
    case Inside::kNvSwitch: {
      const int nvswitch = AddVertex(VertexKind::kNvSwitch, node, 0);
      for (int g = 0; g < n.gpus; ++g) AddCable(first_gpu + g, nvswitch, n.nvlink_bandwidth, n.nvlink_latency / 2);
      break;
    }
    case Inside::kNvLinkMesh:
      for (int g = 0; g < n.gpus; ++g)
        for (int h = g + 1; h < n.gpus; ++h)
          AddCable(first_gpu + g, first_gpu + h, n.nvlink_bandwidth / (n.gpus - 1), n.nvlink_latency);
      break;
    case Inside::kNvLinkPairs:
      for (int g = 0; g < n.gpus; g += 2)
        AddCable(first_gpu + g, first_gpu + g + 1, n.nvlink_bandwidth, n.nvlink_latency);
      break;
    case Inside::kPcie:
      break;
  }
}

void TopologyBuilder::AddNode(int node) {
  const NodeShape& n = shape_.node;
  const int first_gpu = static_cast<int>(t_.vertices_.size());
  for (int g = 0; g < n.gpus; ++g) t_.host_vertex_.push_back(AddVertex(VertexKind::kGpu, node, g));
  AddNvLinks(node, first_gpu);

  const int bridge = AddVertex(VertexKind::kHostBridge, node, 0);
  std::vector<int> switches;
  for (int s = 0; s < CeilDiv(n.gpus, n.gpus_per_pcie_switch); ++s) {
    switches.push_back(AddVertex(VertexKind::kPcieSwitch, node, s));
    AddCable(switches.back(), bridge, n.pcie_bandwidth, n.pcie_latency);
  }
  for (int g = 0; g < n.gpus; ++g)
    AddCable(first_gpu + g, switches[g / n.gpus_per_pcie_switch], n.pcie_bandwidth, n.pcie_latency);
  for (int nic = 0; nic < n.nics; ++nic) {
    int user = 0;
    while (user < n.gpus && (n.nic_of_gpu.empty() ? user * n.nics / n.gpus : n.nic_of_gpu[user]) != nic) ++user;
    const int vertex = AddVertex(VertexKind::kNic, node, nic);
    const int below = user == n.gpus ? bridge : switches[user / n.gpus_per_pcie_switch];
    AddCable(vertex, below, n.pcie_bandwidth, n.nic_latency);
    t_.nic_vertex_.push_back(vertex);
  }
}

BytesPerSecond TopologyBuilder::NodeBandwidth() const { return shape_.node.nic_bandwidth * shape_.node.nics; }

void TopologyBuilder::AttachNode(int node, int fabric_vertex) {
  for (int nic = 0; nic < shape_.node.nics; ++nic)
    AddCable(t_.NicVertex(node, nic), fabric_vertex, shape_.node.nic_bandwidth, shape_.fabric.cable_latency);
}

void TopologyBuilder::AddFabric() {
  switch (shape_.fabric.kind) {
    case FabricKind::kSingleSwitch: {
      const int leaf = AddVertex(VertexKind::kLeaf, -1, 0);
      for (int node = 0; node < shape_.nodes; ++node) AttachNode(node, leaf);
      break;
    }
    case FabricKind::kFatTree2:
    case FabricKind::kFatTree3:
      AddFatTree();
      break;
    case FabricKind::kRailOptimised:
      AddRails();
      break;
    case FabricKind::kDragonfly:
      AddDragonfly();
      break;
    case FabricKind::kTorus:
      AddTorus();
      break;
  }
}

void TopologyBuilder::AddFatTree() {
  const FabricShape& f = shape_.fabric;
  const int leaves = CeilDiv(shape_.nodes, f.nodes_per_leaf);
  const int leaves_per_spine = f.kind == FabricKind::kFatTree3 ? f.leaves_per_pod : leaves;
  const BytesPerSecond trunk = NodeBandwidth() * (f.nodes_per_leaf / f.oversubscription);
  std::vector<int> spines;
  for (int s = 0; s < CeilDiv(leaves, leaves_per_spine); ++s) spines.push_back(AddVertex(VertexKind::kSpine, -1, s));
  for (int l = 0; l < leaves; ++l) {
    const int leaf = AddVertex(VertexKind::kLeaf, -1, l);
    const int last = std::min(shape_.nodes, (l + 1) * f.nodes_per_leaf);
    for (int node = l * f.nodes_per_leaf; node < last; ++node) AttachNode(node, leaf);
    AddCable(leaf, spines[l / leaves_per_spine], trunk, f.cable_latency);
  }
  if (spines.size() < 2) return;
  const int core = AddVertex(VertexKind::kCore, -1, 0);
  for (const int spine : spines)
    AddCable(spine, core, trunk * (leaves_per_spine / f.pod_oversubscription), f.cable_latency);
}

void TopologyBuilder::AddRails() {
  const FabricShape& f = shape_.fabric;
  const int rails = shape_.node.nics, groups = CeilDiv(shape_.nodes, f.nodes_per_leaf);
  const bool joined = f.cross_rail == CrossRail::kSpine;
  const BytesPerSecond trunk = shape_.node.nic_bandwidth * (f.nodes_per_leaf / f.oversubscription);
  std::vector<int> spines;
  for (int s = 0; s < (joined ? 1 : rails); ++s) spines.push_back(AddVertex(VertexKind::kSpine, -1, s));
  for (int group = 0; group < groups; ++group) {
    for (int rail = 0; rail < rails; ++rail) {
      const int leaf = AddVertex(VertexKind::kLeaf, -1, group * rails + rail);
      const int last = std::min(shape_.nodes, (group + 1) * f.nodes_per_leaf);
      for (int node = group * f.nodes_per_leaf; node < last; ++node)
        AddCable(t_.NicVertex(node, rail), leaf, shape_.node.nic_bandwidth, f.cable_latency);
      AddCable(leaf, spines[joined ? 0 : rail], trunk, f.cable_latency);
    }
  }
}

void TopologyBuilder::AddDragonfly() {
  const FabricShape& f = shape_.fabric;
  const int routers = CeilDiv(shape_.nodes, f.nodes_per_router), per_group = f.routers_per_group;
  const int groups = CeilDiv(routers, per_group);
  const int first = static_cast<int>(t_.vertices_.size());
  for (int r = 0; r < groups * per_group; ++r) AddVertex(VertexKind::kRouter, -1, r);
  for (int node = 0; node < shape_.nodes; ++node) AttachNode(node, first + node / f.nodes_per_router);
  for (int group = 0; group < groups; ++group)
    for (int a = 0; a < per_group; ++a)
      for (int b = a + 1; b < per_group; ++b)
        AddCable(first + group * per_group + a, first + group * per_group + b, f.local_bandwidth, f.cable_latency);
  for (int g = 0; g < groups; ++g)
    for (int h = g + 1; h < groups; ++h)
      AddCable(first + g * per_group + h % per_group, first + h * per_group + g % per_group, f.global_bandwidth,
               f.cable_latency, kGlobalCost);
}

// Links of an earlier dimension come first, so the lowest link that gets closer is the dimension-ordered one.
void TopologyBuilder::AddTorus() {
  const FabricShape& f = shape_.fabric;
  const int first = static_cast<int>(t_.vertices_.size());
  for (int r = 0; r < shape_.nodes; ++r) {
    AddVertex(VertexKind::kRouter, -1, r);
    AttachNode(r, first + r);
  }
  int stride = shape_.nodes;
  for (const int size : f.dimensions) {
    const int block = stride;
    stride /= size;
    for (int r = 0; r < shape_.nodes; ++r) {
      const int at = r % block / stride;
      if (size < 2 || (size == 2 && at == 1)) continue;  // two points share one cable
      const int next = at + 1 == size ? r - at * stride : r + stride;
      AddCable(first + r, first + next, f.torus_bandwidth, f.cable_latency);
    }
  }
}

int TopologyBuilder::FindVertex(const std::string& name, const std::string& where) const {
  std::vector<std::string> names;
  for (int v = 0; v < static_cast<int>(t_.vertices_.size()); ++v) {
    names.push_back(t_.VertexName(v));
    if (names.back() == name) return v;
  }
  const std::string near = Nearest(name, names);
  throw Error(shape_.name + ": " + where, "\"" + name + "\" is no part of this cluster",
              near.empty() ? "name a part as in \"node0.gpu0\", \"node0.nic0\" or \"leaf0\""
                           : "did you mean \"" + near + "\"?");
}

void TopologyBuilder::ApplyChanges() {
  for (std::size_t i = 0; i < shape_.changes.size(); ++i) {
    const LinkChange& change = shape_.changes[i];
    const std::string where = "changes[" + std::to_string(i) + "]";
    const int from = FindVertex(change.from, where), to = FindVertex(change.to, where);
    if (!(change.bandwidth_factor >= 0))
      Refuse(where, "has a negative bandwidth factor", "0 cuts the link, 0.5 halves it");
    bool found = false;
    for (Link& link : t_.links_) {
      if (!(link.from == from && link.to == to) && !(link.from == to && link.to == from)) continue;
      link.bandwidth *= change.bandwidth_factor;
      found = true;
    }
    if (!found) Refuse(where, "no cable joins " + change.from + " and " + change.to, "name the two ends of one cable");
    for (const int v : {from, to})
      if (t_.vertices_[v].node >= 0) changed_nodes_.insert(t_.vertices_[v].node);
  }
}

void TopologyBuilder::IndexLiveLinks() {
  const int vertices = static_cast<int>(t_.vertices_.size());
  t_.out_begin_.assign(vertices + 1, 0);
  for (const Link& link : t_.links_)
    if (link.bandwidth.value > 0) ++t_.out_begin_[link.from + 1];
  std::partial_sum(t_.out_begin_.begin(), t_.out_begin_.end(), t_.out_begin_.begin());
  t_.out_links_.resize(t_.out_begin_.back());
  std::vector<int> next(t_.out_begin_.begin(), t_.out_begin_.end() - 1);
  for (int l = 0; l < static_cast<int>(t_.links_.size()); ++l)
    if (t_.links_[l].bandwidth.value > 0) t_.out_links_[next[t_.links_[l].from]++] = l;
}

}  // namespace isochrone::sim::network
