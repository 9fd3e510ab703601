// Textbook cases: what each engine answers for a few flows, derived by hand beside each case.
#include <catch2/catch.hpp>

#include "sim/network/engines.h"
#include "tests/sim/network/clusters.h"

using namespace isochrone;
using namespace isochrone::sim::network;

namespace {

constexpr double kTolerance = 0.005;  // the 0.5 %; the engines are far closer

using Engine = Played (*)(const NetworkGraph&, const Topology&);

Played MaxMin(const NetworkGraph& graph, const Topology& topology) { return PlayWithMaxMin(graph, topology); }
Played SimGrid(const NetworkGraph& graph, const Topology& topology) { return PlayWithSimGrid(graph, topology); }

struct Flow {
  int src, dst;
  double bytes;
};

std::vector<double> Ends(Engine play, const Topology& topology, const std::vector<Flow>& flows) {
  NetworkGraph graph;
  for (const Flow& f : flows) graph.AddMessage(f.src, f.dst, Bytes(f.bytes));
  std::vector<double> ends;
  for (const Seconds end : play(graph, topology).end) ends.push_back(end.value);
  return ends;
}

void CheckBoth(const ClusterShape& shape, const std::vector<Flow>& flows, const std::vector<double>& expected) {
  const Topology topology(shape);
  for (const Engine play : {MaxMin, SimGrid}) {
    const std::vector<double> ends = Ends(play, topology, flows);
    REQUIRE(ends.size() == expected.size());
    for (std::size_t i = 0; i < ends.size(); ++i) {
      INFO((play == SimGrid ? "SimGrid" : "max-min") << ", flow " << i);
      CHECK(ends[i] == Approx(expected[i]).epsilon(kTolerance));
    }
  }
}

constexpr double kLatency = 2.5e-6;  // of a crossbar: 4 x 0.5 us inside the nodes, 2 cables of 0.25 us
constexpr double kPort = 25e9;

}  // namespace

TEST_CASE("a message alone takes latency plus size over bandwidth", "[network][contention]") {
  CheckBoth(Crossbar(2), {{0, 1, 25e6}}, {kLatency + 1e-3});
  CheckBoth(Crossbar(2), {{0, 1, 0}}, {kLatency});
  CheckBoth(Crossbar(2), {{0, 1, 1}}, {kLatency + 1 / kPort});
}

TEST_CASE("two flows over one link halve it, and the longer one has it alone afterwards", "[network][contention]") {
  // both at B/2 until the short one has 25 MB: 2 ms; the long one has 50 MB left: 2 ms more
  CheckBoth(Crossbar(3), {{0, 1, 25e6}, {0, 2, 75e6}}, {kLatency + 2e-3, kLatency + 4e-3});
}

TEST_CASE("flows with different latencies share a link evenly", "[network][contention]") {
  ClusterShape shape = EightGpuNodes(4);
  shape.node.gpus = shape.node.nics = 1;
  shape.fabric.kind = FabricKind::kFatTree2;
  shape.fabric.nodes_per_leaf = 2;
  shape.fabric.cable_latency = Seconds(100e-6);  // 1 -> 0 under one leaf: 202 us, 2 -> 0 over the spine: 402 us
  // flow 0 is alone for 200 us: 5 MB; then both at B/2 until its other 20 MB are there: 1.6 ms;
  // flow 1 has 5 MB left of its 25 MB: 0.2 ms
  const double near = 202e-6, far = 402e-6;
  CheckBoth(shape, {{1, 0, 25e6}, {2, 0, 25e6}}, {near + 0.2e-3 + 1.6e-3, far + 1.6e-3 + 0.2e-3});
}

TEST_CASE("incast: n senders into one port take n times as long", "[network][contention]") {
  std::vector<Flow> flows;
  for (int src = 1; src <= 16; ++src) flows.push_back({src, 0, 25e6});
  CheckBoth(Crossbar(17), flows, std::vector<double>(16, kLatency + 16e-3));
}

TEST_CASE("an oversubscribed leaf divides its uplink, and traffic below it does not care", "[network][contention]") {
  ClusterShape shape = EightGpuNodes(4);
  shape.fabric.kind = FabricKind::kFatTree2;
  shape.fabric.nodes_per_leaf = 2;
  shape.fabric.oversubscription = 4;  // 16 cards share 4 cards' worth of uplink
  std::vector<Flow> flows;
  std::vector<double> ends;
  for (int gpu = 0; gpu < 16; ++gpu) {
    flows.push_back({gpu, 16 + gpu, 25e6});
    ends.push_back(2.0e-6 + 4 * 0.25e-6 + 4e-3);
  }
  flows.push_back({0 + 16, 8 + 16, 25e6});  // within the second leaf, on a card that only receives and sends elsewhere
  ends.push_back(2.5e-6 + 1e-3 + 0.25e-3);  // its receiver's port also takes flow 8: see below
  // flow 8 enters host 24 at B/4, which leaves 3B/4 for the flow within the leaf: 25 MB at 18.75 GB/s = 4/3 ms
  ends.back() = 2.5e-6 + 4e-3 / 3;
  CheckBoth(shape, flows, ends);
}

TEST_CASE("messages across rails queue in the spine's share of a leaf, along a rail they do not",
          "[network][contention]") {
  ClusterShape shape = EightGpuNodes(4);
  shape.fabric.kind = FabricKind::kRailOptimised;
  shape.fabric.nodes_per_leaf = 4;
  shape.fabric.oversubscription = 4;  // each rail's leaf: 4 cards below, one card's worth above
  std::vector<Flow> along, across;
  for (int node = 0; node < 4; ++node) {
    along.push_back({8 * node, 8 * ((node + 1) % 4), 25e6});
    across.push_back({8 * node, 8 * ((node + 1) % 4) + 1, 25e6});
  }
  CheckBoth(shape, along, std::vector<double>(4, 2.5e-6 + 1e-3));
  CheckBoth(shape, across, std::vector<double>(4, 3.0e-6 + 4e-3));
}

TEST_CASE("a pair of GPUs behind one PCIe switch shares the card", "[network][contention]") {
  ClusterShape shape = EightGpuNodes(2);
  shape.node.gpus_per_pcie_switch = 2;
  shape.node.nics = 4;
  CheckBoth(shape, {{0, 8, 25e6}, {1, 9, 25e6}}, std::vector<double>(2, kLatency + 2e-3));
}

TEST_CASE("computes on one host do not share it, and what follows waits for all before it", "[network][contention]") {
  const Topology topology(Crossbar(2));
  NetworkGraph graph;
  const int a = graph.AddCompute(0, Seconds(1e-3)), b = graph.AddCompute(0, Seconds(2e-3));
  const int empty = graph.AddCompute(0, Seconds(0)), m = graph.AddMessage(0, 1, Bytes(25e6), Seconds(1e-4));
  graph.AddDependency(a, empty);
  graph.AddDependency(b, empty);
  graph.AddDependency(empty, m);
  for (const Engine play : {MaxMin, SimGrid, PlayUncontended}) {
    const Played played = play(graph, topology);
    CHECK(played.end[a].value == Approx(1e-3));
    CHECK(played.end[b].value == Approx(2e-3));
    CHECK(played.end[empty].value == Approx(2e-3));
    CHECK(played.start[m].value == Approx(2e-3));
    CHECK(played.end[m].value == Approx(2e-3 + 1e-4 + kLatency + 1e-3));
    CHECK(played.makespan == played.end[m]);
  }
}
