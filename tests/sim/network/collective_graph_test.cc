// Collectives alone on the wire take what their closed forms say. Formulas: docs/equations.md and the sources named in
// plan/collectives/algorithms.h; a latency per message, B bytes per second, size S, n ranks.
#include "sim/network/collective_graph.h"

#include <catch2/catch.hpp>
#include <cmath>

#include "plan/collectives/algorithms.h"
#include "sim/network/engines.h"
#include "tests/sim/network/clusters.h"

using namespace isochrone;
using namespace isochrone::sim::network;
namespace c = isochrone::plan::collectives;

namespace {

constexpr double kTolerance = 0.005;
constexpr double kLatency = 2.5e-6, kPort = 25e9;  // of the crossbar

Participants Everyone(int ranks) {
  Participants who;
  for (int r = 0; r < ranks; ++r) who.hosts.push_back(r);
  who.begin.assign(ranks, -1);
  return who;
}

double Time(const Topology& topology, const c::StepList& list, double size, bool with_simgrid = false) {
  NetworkGraph graph;
  AddSteps(&graph, list, Everyone(list.Ranks()), Bytes(size));
  return (with_simgrid ? PlayWithSimGrid(graph, topology) : PlayWithMaxMin(graph, topology)).makespan.value;
}

void CheckAll(int n, double size, bool with_simgrid) {
  INFO(n << " ranks, " << size << " bytes" << (with_simgrid ? ", SimGrid" : ""));
  const Topology crossbar(Crossbar(n));
  const auto time = [&](const c::StepList& list, double s) { return Time(crossbar, list, s, with_simgrid); };
  const double step = kLatency + size / n / kPort;
  if (n <= 256) {
    CHECK(time(c::RingAllReduce(n), size) == Approx(2 * (n - 1) * step).epsilon(kTolerance));
    CHECK(time(c::PairwiseAllToAll(n), size * n) == Approx((n - 1) * step).epsilon(kTolerance));
  }
  CHECK(time(c::RingAllGather(n), size) == Approx((n - 1) * step).epsilon(kTolerance));
  CHECK(time(c::RingReduceScatter(n), size) == Approx((n - 1) * step).epsilon(kTolerance));

  const double log = std::log2(n);
  CHECK(time(c::HalvingDoublingAllReduce(n), size) ==
        Approx(2 * (log * kLatency + size * (1 - 1.0 / n) / kPort)).epsilon(kTolerance));
  const int chunks = 8;
  CHECK(time(c::ChainBroadcast(n, chunks), size) ==
        Approx((n - 2 + chunks) * (kLatency + size / chunks / kPort)).epsilon(kTolerance));
}

}  // namespace

TEST_CASE("rings, exchanges and chains alone equal their closed forms, 2 to 256 ranks", "[network][collectives]") {
  for (const int n : {2, 4, 16, 64, 256})
    for (const double size : {1e4, 1e9}) CheckAll(n, size, false);
  for (const int n : {2, 4, 16}) CheckAll(n, 1e7, true);
}

TEST_CASE("rings, exchanges and chains alone equal their closed forms at 1,024 ranks",
          "[network][collectives][.slow]") {
  CheckAll(1024, 1e9, false);
  const Topology crossbar(Crossbar(1024));
  CHECK(Time(crossbar, c::RingAllReduce(1024), 1e9) ==
        Approx(2 * 1023 * (kLatency + 1e9 / 1024 / kPort)).epsilon(kTolerance));
  CHECK(Time(crossbar, c::PairwiseAllToAll(1024), 1024e9) ==
        Approx(1023 * (kLatency + 1e9 / 1024 / kPort)).epsilon(kTolerance));
}

TEST_CASE("a hierarchical all-reduce uses NVLink inside and every rail between nodes, 16 to 1,024 ranks",
          "[network][collectives]") {
  for (const int nodes : {2, 8, 128}) {
    ClusterShape shape = EightGpuNodes(nodes);
    shape.fabric.kind = FabricKind::kRailOptimised;
    shape.fabric.nodes_per_leaf = nodes;
    const double size = 1e9, inside = 2e-6 + size / 8 / 300e9, across = 2.5e-6 + size / 8 / nodes / 25e9;
    CHECK(Time(Topology(shape), c::HierarchicalAllReduce(8 * nodes, 8), size) ==
          Approx(2 * 7 * inside + 2 * (nodes - 1) * across).epsilon(kTolerance));
  }
}

TEST_CASE("a tree over cables of its own takes 2 depth + chunks - 1 steps, 2 to 1,024 ranks",
          "[network][collectives]") {
  const auto steps = [](int n, int chunks) { return 2 * static_cast<int>(std::ceil(std::log2(n))) + chunks - 1; };
  for (const int n : {2, 3, 8, 64}) {
    ClusterShape shape = EightGpuNodes(1);
    shape.node.gpus = n;
    shape.node.inside = Inside::kNvLinkMesh;
    shape.node.nvlink_bandwidth = BytesPerSecond(25e9 * (n - 1));  // 25 GB/s to each peer
    const int chunks = 16;
    const double size = 1e8, step = 2e-6 + size / chunks / 25e9;
    INFO(n << " ranks");
    CHECK(Time(Topology(shape), c::TreeAllReduce(c::BinaryTree(n), chunks), size) ==
          Approx(steps(n, chunks) * step).epsilon(kTolerance));
  }
  // behind one switch the children of a rank share its port, which does not show while latency rules
  for (const int n : {100, 1024})
    CHECK(Time(Topology(Crossbar(n)), c::TreeAllReduce(c::BinaryTree(n), 16), 16) ==
          Approx(steps(n, 16) * kLatency).epsilon(kTolerance));
}

TEST_CASE("two trees are bound by latency where messages are small and by 2 size where they are large",
          "[network][collectives]") {
  for (const int n : {4, 64, 1024}) {
    const int depth = static_cast<int>(std::ceil(std::log2(n)));
    CHECK(Time(Topology(Crossbar(n)), c::DoubleBinaryTreeAllReduce(n, 1), 8) ==
          Approx(2 * depth * kLatency).epsilon(kTolerance));
  }
  // 2 S / B and what fills the pipeline; two ranks have one child each way and move S each way
  const double size = 1e11;
  CHECK(Time(Topology(Crossbar(8)), c::DoubleBinaryTreeAllReduce(8, 4000), size) ==
        Approx(2 * size / kPort).epsilon(kTolerance));
}

TEST_CASE("every rank waits for both ends, and is done when its last message is", "[network][collectives]") {
  const Topology crossbar(Crossbar(3));
  NetworkGraph graph;
  Participants who = Everyone(3);
  who.begin[2] = graph.AddCompute(2, Seconds(1));
  const std::vector<int> ends = AddSteps(&graph, c::ChainBroadcast(3, 1), who, Bytes(25e6));
  const Played played = PlayWithMaxMin(graph, crossbar);
  CHECK(played.end[ends[0]].value == Approx(kLatency + 1e-3));
  CHECK(played.end[ends[1]].value == Approx(1 + kLatency + 1e-3));
  CHECK(played.end[ends[2]].value == Approx(1 + kLatency + 1e-3));
}

TEST_CASE("a fluid ring takes as long as the stepped one, alone and over a shared uplink", "[network][collectives]") {
  ClusterShape oversubscribed = EightGpuNodes(8);
  oversubscribed.fabric.kind = FabricKind::kFatTree2;
  oversubscribed.fabric.nodes_per_leaf = 4;
  oversubscribed.fabric.oversubscription = 16;  // 32 cards share two cards' worth
  const auto compare = [](const ClusterShape& shape, int rings, int members, int stride) {
    const Topology topology(shape);
    NetworkGraph stepped, fluid;
    for (int ring = 0; ring < rings; ++ring) {
      Participants who;
      for (int m = 0; m < members; ++m) who.hosts.push_back(ring + stride * m);
      who.begin.assign(members, -1);
      AddSteps(&stepped, c::RingAllReduce(members), who, Bytes(1e8));
      AddFluidRing(&fluid, topology, who, Bytes(1e8), 2 * (members - 1));
    }
    CHECK(PlayWithMaxMin(fluid, topology).makespan.value ==
          Approx(PlayWithMaxMin(stepped, topology).makespan.value).epsilon(kTolerance));
  };
  compare(Crossbar(64), 1, 64, 1);
  compare(oversubscribed, 8, 8, 8);
}
