#include "sim/network/bisection.h"

#include <catch2/catch.hpp>

#include "tests/sim/network/clusters.h"

using namespace isochrone;
using namespace isochrone::sim::network;

TEST_CASE("half of a cluster reaches the other half at what its narrowest cut carries", "[network][bisection]") {
  // inside a node: four NVLink ports and four PCIe links over a bridge of one link per switch
  CHECK(Bisection(Topology(EightGpuNodes(1))).value == Approx(4 * (300e9 + 25e9)));
  ClusterShape shape = EightGpuNodes(8);
  CHECK(Bisection(Topology(shape)).value == Approx(32 * 25e9));
  shape.fabric.kind = FabricKind::kFatTree2;
  shape.fabric.nodes_per_leaf = 2;
  CHECK(Bisection(Topology(shape)).value == Approx(32 * 25e9));
  shape.fabric.oversubscription = 4;
  CHECK(Bisection(Topology(shape)).value == Approx(8 * 25e9));
  shape.changes = {{"leaf0", "spine0", 0.5}};  // half of the cut at half speed
  CHECK(Bisection(Topology(shape)).value == Approx(6 * 25e9));
}

TEST_CASE("a torus is cut twice across its longest dimension", "[network][bisection]") {
  ClusterShape shape = EightGpuNodes(16);
  shape.fabric.kind = FabricKind::kTorus;
  shape.fabric.dimensions = {4, 4};
  shape.fabric.torus_bandwidth = BytesPerSecond(10e9);
  CHECK(Bisection(Topology(shape)).value == Approx(2 * 4 * 10e9));
}

TEST_CASE("the bisection of 3,072 GPUs is found", "[network][bisection]") {
  ClusterShape shape = EightGpuNodes(384);
  shape.fabric.kind = FabricKind::kRailOptimised;
  shape.fabric.nodes_per_leaf = 20;
  shape.fabric.oversubscription = 2;
  // 9 groups send half of their 160 cards' worth up; the 12 nodes of the tenth reach its other 8 under their leaves and
  // the rest above, so that all their 96 cards are busy
  CHECK(Bisection(Topology(shape)).value == Approx((9 * 80 + 96) * 25e9));
}
