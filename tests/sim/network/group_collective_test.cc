// One collective over a group, by each algorithm, against its closed form: a latency, B bytes per second of a card,
// S bytes, N nodes of 8 hosts each with a card of its own.
#include "sim/network/group_collective.h"

#include <catch2/catch.hpp>
#include <cmath>

#include "sim/network/engines.h"
#include "tests/sim/network/clusters.h"

using namespace isochrone;
using namespace isochrone::sim::network;
using plan::CollectiveKind;
using plan::collectives::Algorithm;

namespace {

constexpr double kTolerance = 0.005;  // of every closed form of the network's collectives
constexpr double kLatency = 2.5e-6, kCard = 25e9, kInside = 2e-6, kNvLink = 300e9;

Seconds AllReduce(const Topology& topology, int ranks, Algorithm algorithm, double size) {
  Participants who;
  for (int r = 0; r < ranks; ++r) who.hosts.push_back(r);
  who.begin.assign(static_cast<std::size_t>(ranks), -1);
  NetworkGraph graph;
  AddGroupCollective(&graph, topology, who,
                     {CollectiveKind::kAllReduce, plan::Group::kData, Bytes(size), plan::Dtype::kFp32, 1}, algorithm,
                     0);
  return PlayWithMaxMin(graph, topology).makespan;
}

}  // namespace

TEST_CASE("an all-reduce takes the closed form of the algorithm that is chosen for it", "[network][collectives]") {
  for (const int nodes : {2, 8, 32}) {
    ClusterShape shape = EightGpuNodes(nodes);
    shape.fabric.kind = FabricKind::kRailOptimised;  // nobody else on a card's way
    shape.fabric.nodes_per_leaf = nodes;
    const Topology topology(shape);
    const double depth = std::log2(nodes);
    for (const double size : {64.0, 1e9}) {
      INFO(nodes << " nodes, " << size << " bytes");
      const double inside = 2 * 7 * (kInside + size / 8 / kNvLink);
      CHECK(AllReduce(topology, 8 * nodes, Algorithm::kRing, size).value ==
            Approx(inside + 2 * (nodes - 1) * (kLatency + size / 8 / nodes / kCard)).epsilon(kTolerance));
      CHECK(AllReduce(topology, 8 * nodes, Algorithm::kHalvingDoubling, size).value ==
            Approx(inside + 2 * depth * kLatency + 2 * (1 - 1.0 / nodes) * size / 8 / kCard).epsilon(kTolerance));
      // a node that is inner in one tree, with two children there, moves 2 S each way; of two nodes each moves S
      const double most = nodes == 2 ? 1 : 2;
      CHECK(AllReduce(topology, 8 * nodes, Algorithm::kTree, size).value ==
            Approx(inside + 2 * depth * kLatency + most * size / 8 / kCard).epsilon(kTolerance));
    }
  }
}

TEST_CASE("trees win where messages are small, rings where they are large", "[network][collectives]") {
  // 62 a + 2 31/32 S/B of a ring against 10 a + 2 S/B in pieces of a tree: equal near 52 a B 16 = 52 MB
  const Topology crossbar(Crossbar(32));
  const auto time = [&](Algorithm algorithm, double size) { return AllReduce(crossbar, 32, algorithm, size); };
  CHECK(time(Algorithm::kTree, 1e4) < time(Algorithm::kRing, 1e4) / 3);
  CHECK(time(Algorithm::kHalvingDoubling, 1e4) < time(Algorithm::kRing, 1e4) / 3);
  CHECK(time(Algorithm::kRing, 1e9) < time(Algorithm::kTree, 1e9));
}

TEST_CASE("inside a node every all-reduce is a ring", "[network][collectives]") {
  const Topology topology(EightGpuNodes(1));
  CHECK(AllReduce(topology, 8, Algorithm::kTree, 1e8) == AllReduce(topology, 8, Algorithm::kRing, 1e8));
}
