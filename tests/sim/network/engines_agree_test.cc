#include <catch2/catch.hpp>
#include <cmath>
#include <random>

#include "sim/network/engines.h"
#include "tests/sim/network/clusters.h"

using namespace isochrone;
using namespace isochrone::sim::network;

namespace {

ClusterShape RandomCluster(std::mt19937& random) {
  const auto pick = [&](int least, int most) { return std::uniform_int_distribution<int>(least, most)(random); };
  ClusterShape shape = EightGpuNodes(pick(2, 6));
  shape.node.inside = static_cast<Inside>(pick(0, 3));
  shape.node.gpus_per_pcie_switch = 1 << pick(0, 2);
  shape.node.nics = 1 << pick(0, 3);
  shape.node.pcie_bandwidth = BytesPerSecond(pick(10, 50) * 1e9);
  FabricShape& f = shape.fabric;
  f.kind = static_cast<FabricKind>(pick(0, 5));
  f.cable_latency = Seconds(pick(1, 50) * 1e-7);
  f.nodes_per_leaf = pick(1, 3);
  f.oversubscription = pick(1, 8);
  f.leaves_per_pod = pick(1, 2);
  f.pod_oversubscription = pick(1, 4);
  f.cross_rail = static_cast<CrossRail>(pick(0, 1));
  f.nodes_per_router = pick(1, 2);
  f.routers_per_group = pick(1, 2);
  f.local_bandwidth = BytesPerSecond(pick(10, 100) * 1e9);
  f.global_bandwidth = BytesPerSecond(pick(10, 100) * 1e9);
  f.dimensions = {shape.nodes % 2 == 0 ? 2 : 1, shape.nodes % 2 == 0 ? shape.nodes / 2 : shape.nodes};
  f.torus_bandwidth = BytesPerSecond(pick(10, 100) * 1e9);
  return shape;
}

// Messages and computes of 1 us to 10 ms, each after up to three earlier ones.
NetworkGraph RandomGraph(std::mt19937& random, int hosts) {
  std::uniform_int_distribution<int> host(0, hosts - 1), waits(0, 3);
  std::uniform_real_distribution<double> unit(0, 1);
  NetworkGraph graph;
  for (int i = 0; i < 200; ++i) {
    const double size = std::pow(10.0, 4 + 4 * unit(random));  // 10 kB to 100 MB
    const int src = host(random), dst = (src + 1 + host(random) % (hosts - 1)) % hosts;
    const int activity = unit(random) < 0.3 ? graph.AddCompute(src, Seconds(size / 25e9))
                                            : graph.AddMessage(src, dst, Bytes(size), Seconds(1e-6 * waits(random)));
    for (int w = i == 0 ? 0 : waits(random); w > 0; --w)
      graph.AddDependency(std::uniform_int_distribution<int>(std::max(0, i - 40), i - 1)(random), activity);
  }
  return graph;
}

}  // namespace

TEST_CASE("our solver and SimGrid agree within half a percent on 200 random cases", "[network][agree]") {
  std::mt19937 random(20240607);
  double worst_end = 0;
  int cases = 0;
  while (cases < 200) {
    const Topology topology(RandomCluster(random));
    const NetworkGraph graph = RandomGraph(random, topology.Hosts());
    const Played ours = PlayWithMaxMin(graph, topology), theirs = PlayWithSimGrid(graph, topology, LimitBy::kEveryLink);
    const Played alone = PlayUncontended(graph, topology);
    INFO("case " << cases);
    REQUIRE(ours.makespan.value == Approx(theirs.makespan.value).epsilon(0.005));
    CHECK(alone.makespan.value <= ours.makespan.value * (1 + 1e-9));
    for (int i = 0; i < graph.Size(); ++i) worst_end = std::max(worst_end, std::abs(ours.end[i] / theirs.end[i] - 1));
    ++cases;
  }
  CHECK(worst_end < 0.005);  // every activity, not the makespan alone
}
