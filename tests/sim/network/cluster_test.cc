#include "sim/network/cluster.h"

#include <catch2/catch.hpp>

#include "base/error.h"
#include "sim/network/topology.h"

using namespace isochrone;
using namespace isochrone::sim::network;

namespace {

plan::Cluster DgxCluster(int nodes, const std::string& fabric = "") {
  plan::Cluster cluster;
  cluster.name = "test";
  cluster.nodes = nodes;
  cluster.node.link_bandwidth = BytesPerSecond(300e9);
  cluster.node.link_latency = Seconds(0.6e-6);
  cluster.node.nics = 8;
  cluster.node.nic_bandwidth = BytesPerSecond(25e9);
  cluster.node.nic_latency = Seconds(2.7e-6);
  cluster.node.host_bandwidth = BytesPerSecond(31.5e9);
  cluster.fabric_json = fabric;
  return cluster;
}

std::string RefusalOf(const plan::Cluster& cluster) {
  try {
    ShapeOf(cluster);
  } catch (const Error& e) {
    return e.what();
  }
  return "accepted";
}

}  // namespace

TEST_CASE("a cluster of the catalogue becomes a network with its latencies and bandwidths", "[network][cluster]") {
  const Topology topology(ShapeOf(DgxCluster(4), {.nic = 0.9, .nvlink = 0.8}));
  CHECK(topology.Hosts() == 32);
  const Route inside = topology.RouteBetween(0, 7), across = topology.RouteBetween(0, 8);
  CHECK(inside.latency.value == Approx(0.6e-6));
  CHECK(inside.bandwidth.value == Approx(240e9));
  CHECK(across.latency.value == Approx(2.7e-6));
  CHECK(across.bandwidth.value == Approx(22.5e9));
}

TEST_CASE("GPUs that meet over PCIe do so at the measured share of their link", "[network][cluster]") {
  plan::Cluster cluster = DgxCluster(1);
  cluster.node.link = plan::NodeLink::kPcie;
  cluster.node.link_bandwidth = BytesPerSecond(32e9);
  const Route route = Topology(ShapeOf(cluster, {.nic = 1, .nvlink = 0.8})).RouteBetween(0, 5);
  CHECK(route.bandwidth.value == Approx(25.6e9));
}

TEST_CASE("servers of one NVLink domain are one node", "[network][cluster]") {
  plan::Cluster cluster = DgxCluster(36);
  cluster.node.gpus = cluster.node.nics = 4;
  cluster.node.domain_gpus = 72;
  const Topology topology(ShapeOf(cluster));
  CHECK(topology.Shape().nodes == 2);
  CHECK(topology.RouteBetween(0, 71).bandwidth.value == Approx(300e9));
  CHECK(topology.RouteBetween(0, 72).bandwidth.value == Approx(25e9));
}

TEST_CASE("each kind of fabric is read from its keys", "[network][cluster]") {
  const auto shape = [](const std::string& fabric) { return ShapeOf(DgxCluster(16, fabric)); };
  const ClusterShape tree = shape(R"({"kind": "fat_tree_3", "nodes_per_leaf": 2, "oversubscription": 2,
      "leaves_per_pod": 4, "cable_latency_us": 0.5, "changes": [{"from": "leaf0", "to": "spine0", "bandwidth_factor": 0.5}]})");
  CHECK(tree.fabric.kind == FabricKind::kFatTree3);
  const Route route = Topology(tree).RouteBetween(0, 8 * 15);
  CHECK(route.latency.value == Approx(2.7e-6 + 6 * 0.5e-6));
  CHECK(route.bandwidth.value == Approx(25e9));
  CHECK(Topology(shape(R"({"kind": "rails", "nodes_per_leaf": 8, "cross_rail": "nvlink"})")).Hosts() == 128);
  CHECK(Topology(shape(R"({"kind": "torus", "dimensions": [4, 4], "link_bandwidth_gb_per_s": 100})")).Hosts() == 128);
  CHECK(Topology(shape(R"({"kind": "dragonfly", "nodes_per_router": 2, "routers_per_group": 4,
      "local_bandwidth_gb_per_s": 100, "global_bandwidth_gb_per_s": 50})"))
            .Hosts() == 128);
}

TEST_CASE("a fabric that cannot be is refused at its place", "[network][cluster]") {
  CHECK(RefusalOf(DgxCluster(4, R"({"kind": "fat_tre"})")).find("test: fabric: /kind") != std::string::npos);
  CHECK(RefusalOf(DgxCluster(4, R"({"kind": "fat_tree", "nodes_per_leaf": 2, "dimensions": [2]})"))
            .find("test: fabric: /dimensions") != std::string::npos);
  CHECK(RefusalOf(DgxCluster(4, R"({"kind": "fat_tree"})")).find("nodes_per_leaf") != std::string::npos);
  plan::Cluster cluster = DgxCluster(4);
  cluster.oversubscription = 2;
  CHECK(RefusalOf(cluster) ==
        "test\n  is oversubscribed, but says not where\n  add \"fabric\": {\"kind\": \"fat_tree\", \"nodes_per_leaf\": "
        "16}");
}
