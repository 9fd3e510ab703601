#include "sim/network/topology.h"

#include <catch2/catch.hpp>

#include "base/error.h"
#include "tests/sim/network/clusters.h"

using namespace isochrone;
using namespace isochrone::sim::network;

namespace {

std::string Path(const Topology& t, int src, int dst) {
  std::string path = t.HostName(src);
  for (const int l : t.RouteBetween(src, dst).links) path += " " + t.VertexName(t.Links()[l].to);
  return path;
}

std::string RefusalOf(const ClusterShape& shape) {
  try {
    Topology topology(shape);
  } catch (const Error& e) {
    return e.what();
  }
  return "accepted";
}

ClusterShape With(FabricKind kind, int nodes, int nodes_per_leaf) {
  ClusterShape shape = EightGpuNodes(nodes);
  shape.fabric.kind = kind;
  shape.fabric.nodes_per_leaf = nodes_per_leaf;
  return shape;
}

}  // namespace

TEST_CASE("GPUs of a node meet as their NVLink lets them", "[network][topology]") {
  ClusterShape shape = EightGpuNodes(1);
  shape.node.gpus_per_pcie_switch = 4;
  CHECK(Path(Topology(shape), 0, 5) == "node0.gpu0 node0.nvswitch0 node0.gpu5");
  CHECK(Path(Topology(shape), 0, 1) == "node0.gpu0 node0.nvswitch0 node0.gpu1");
  shape.node.inside = Inside::kNvLinkMesh;
  CHECK(Path(Topology(shape), 0, 5) == "node0.gpu0 node0.gpu5");
  CHECK(Topology(shape).RouteBetween(0, 5).bandwidth.value == Approx(300e9 / 7));
  shape.node.inside = Inside::kNvLinkPairs;
  CHECK(Path(Topology(shape), 4, 5) == "node0.gpu4 node0.gpu5");
  CHECK(Path(Topology(shape), 1, 2) == "node0.gpu1 node0.pcie0 node0.gpu2");
  CHECK(Path(Topology(shape), 1, 5) == "node0.gpu1 node0.pcie0 node0.bridge0 node0.pcie1 node0.gpu5");
  shape.node.inside = Inside::kPcie;
  CHECK(Path(Topology(shape), 4, 5) == "node0.gpu4 node0.pcie1 node0.gpu5");
}

TEST_CASE("a message between nodes leaves by the card its GPU is affine to", "[network][topology]") {
  ClusterShape shape = EightGpuNodes(2);
  shape.node.nics = 2;
  shape.node.gpus_per_pcie_switch = 4;
  CHECK(Path(Topology(shape), 3, 12) == "node0.gpu3 node0.pcie0 node0.nic0 leaf0 node1.nic1 node1.pcie1 node1.gpu4");
  shape.node.nic_of_gpu = {1, 0, 0, 0, 0, 0, 0, 0};
  CHECK(Path(Topology(shape), 0, 9) == "node0.gpu0 node0.pcie0 node0.nic1 leaf0 node1.nic0 node1.pcie0 node1.gpu1");
}

TEST_CASE("latency adds along a route and bandwidth is that of its narrowest link", "[network][topology]") {
  ClusterShape shape = With(FabricKind::kFatTree2, 4, 2);
  shape.fabric.oversubscription = 32;  // 2 nodes x 8 cards x 25 GB/s / 32
  const Topology topology(shape);
  const Route route = topology.RouteBetween(0, 16);
  CHECK(route.latency.value == Approx(4 * 0.5e-6 + 4 * 0.25e-6));
  CHECK(route.bandwidth.value == Approx(12.5e9));
}

TEST_CASE("fat trees route up as far as needed and down", "[network][topology]") {
  ClusterShape shape = With(FabricKind::kFatTree3, 8, 2);
  shape.fabric.leaves_per_pod = 2;
  const Topology topology(shape);
  CHECK(Path(topology, 0, 8) == "node0.gpu0 node0.pcie0 node0.nic0 leaf0 node1.nic0 node1.pcie0 node1.gpu0");
  CHECK(Path(topology, 0, 16) ==
        "node0.gpu0 node0.pcie0 node0.nic0 leaf0 spine0 leaf1 node2.nic0 node2.pcie0 node2.gpu0");
  CHECK(Path(topology, 0, 32) ==
        "node0.gpu0 node0.pcie0 node0.nic0 leaf0 spine0 core0 spine1 leaf2 node4.nic0 node4.pcie0 node4.gpu0");
}

TEST_CASE("rails meet over the spine, or over NVLink where they are separate", "[network][topology]") {
  ClusterShape shape = With(FabricKind::kRailOptimised, 2, 2);
  CHECK(Path(Topology(shape), 0, 8) == "node0.gpu0 node0.pcie0 node0.nic0 leaf0 node1.nic0 node1.pcie0 node1.gpu0");
  CHECK(Path(Topology(shape), 0, 9) ==
        "node0.gpu0 node0.pcie0 node0.nic0 leaf0 spine0 leaf1 node1.nic1 node1.pcie1 node1.gpu1");
  shape.fabric.cross_rail = CrossRail::kNvLink;
  CHECK(Path(Topology(shape), 0, 9) ==
        "node0.gpu0 node0.nvswitch0 node0.gpu1 node0.pcie1 node0.nic1 leaf1 node1.nic1 node1.pcie1 node1.gpu1");
}

TEST_CASE("torus routes are dimension-ordered and take the shorter way round", "[network][topology]") {
  ClusterShape shape = EightGpuNodes(12);
  shape.fabric.kind = FabricKind::kTorus;
  shape.fabric.dimensions = {3, 4};
  shape.fabric.torus_bandwidth = BytesPerSecond(50e9);
  const Topology topology(shape);
  // node 0 at (0, 0), node 11 at (2, 3): one step back in each dimension, the first dimension first
  CHECK(Path(topology, 0, 88) ==
        "node0.gpu0 node0.pcie0 node0.nic0 router0 router8 router11 node11.nic0 node11.pcie0 node11.gpu0");
}

TEST_CASE("dragonfly routes are minimal: local, global, local", "[network][topology]") {
  ClusterShape shape = EightGpuNodes(16);
  shape.fabric.kind = FabricKind::kDragonfly;
  shape.fabric.nodes_per_router = 1;
  shape.fabric.routers_per_group = 4;
  shape.fabric.local_bandwidth = BytesPerSecond(100e9);
  shape.fabric.global_bandwidth = BytesPerSecond(50e9);
  const Topology topology(shape);
  // group 0 meets group 2 by its router 2 and the other's router 0
  CHECK(Path(topology, 0, 88) ==
        "node0.gpu0 node0.pcie0 node0.nic0 router0 router2 router8 router11 node11.nic0 node11.pcie0 node11.gpu0");
}

TEST_CASE("a cut cable is routed around where another way exists", "[network][topology]") {
  ClusterShape shape = EightGpuNodes(2);
  shape.changes = {{"node0.nic0", "leaf0", 0}};
  CHECK(Path(Topology(shape), 0, 8) ==
        "node0.gpu0 node0.pcie0 node0.bridge0 node0.pcie1 node0.nic1 leaf0 node1.nic0 node1.pcie0 node1.gpu0");
  shape = EightGpuNodes(1);
  shape.changes = {{"node0.gpu0", "node0.nvswitch0", 0}};
  CHECK(Path(Topology(shape), 0, 1) == "node0.gpu0 node0.pcie0 node0.bridge0 node0.pcie1 node0.gpu1");
}

TEST_CASE("a slow cable is slow in both directions", "[network][topology]") {
  ClusterShape shape = EightGpuNodes(2);
  shape.changes = {{"leaf0", "node1.nic0", 0.5}};
  const Topology topology(shape);
  CHECK(topology.RouteBetween(0, 8).bandwidth.value == Approx(12.5e9));
  CHECK(topology.RouteBetween(8, 0).bandwidth.value == Approx(12.5e9));
  CHECK(topology.RouteBetween(1, 9).bandwidth.value == Approx(25e9));
}

TEST_CASE("hosts that cannot reach each other are refused by name", "[network][topology]") {
  ClusterShape shape = EightGpuNodes(2);
  shape.node.nics = 0;
  CHECK(RefusalOf(shape) ==
        "cluster\n  node0.gpu0 cannot reach node1.gpu0: node0.gpu0 has no live card that is cabled to the fabric\n"
        "  join them by a cable, or take them out of the cluster");
  shape = Crossbar(3);
  shape.changes = {{"node2.nic0", "leaf0", 0}};
  CHECK(RefusalOf(shape) ==
        "cluster\n  node0.gpu0 cannot reach node2.gpu0: node2.gpu0 has no live card that is cabled to the fabric\n"
        "  join them by a cable, or take them out of the cluster");
  shape = With(FabricKind::kFatTree2, 4, 2);
  shape.changes = {{"leaf1", "spine0", 0}};
  CHECK(RefusalOf(shape) ==
        "cluster\n  node0.gpu0 cannot reach node2.gpu0: no path of live links joins leaf0 and leaf1\n"
        "  join them by a cable, or take them out of the cluster");
  shape = EightGpuNodes(1);
  shape.changes = {{"node0.gpu3", "node0.nvswitch0", 0}, {"node0.gpu3", "node0.pcie3", 0}};
  CHECK(RefusalOf(shape) ==
        "cluster\n  node0.gpu0 cannot reach node0.gpu3: no path of live links joins them inside their node\n"
        "  join them by a cable, or take them out of the cluster");
}

TEST_CASE("a description that contradicts itself is refused", "[network][topology]") {
  ClusterShape shape = EightGpuNodes(12);
  shape.fabric.kind = FabricKind::kTorus;
  shape.fabric.dimensions = {3, 3};
  CHECK(RefusalOf(shape) ==
        "cluster: fabric.dimensions\n  multiply to 9 points\n  a torus has one node a point: make the product 12");
  shape = EightGpuNodes(2);
  shape.changes = {{"node0.nicO", "leaf0", 0.5}};
  CHECK(RefusalOf(shape).find("did you mean \"node0.nic") != std::string::npos);
  shape.changes = {{"node0.nic0", "node1.nic0", 0.5}};
  CHECK(RefusalOf(shape) ==
        "cluster: changes[0]\n  no cable joins node0.nic0 and node1.nic0\n  name the two ends of one cable");
}
