#include "costmodel/collective.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <ctime>

#include "base/error.h"
#include "costmodel/collective_algorithm.h"
#include "costmodel/collective_forms.h"
#include "costmodel/explain.h"

using namespace isochrone;
using namespace isochrone::costmodel;
using plan::CollectiveKind;
using plan::GroupShape;

namespace {

const std::string kFolder = std::string(ISO_SOURCE_DIR) + "/scenarios/profiles/links";
const CollectiveKind kAll[] = {CollectiveKind::kAllReduce, CollectiveKind::kAllGather, CollectiveKind::kReduceScatter,
                               CollectiveKind::kAllToAll,  CollectiveKind::kBroadcast, CollectiveKind::kRing};

plan::Cluster A100Cluster() {
  plan::Cluster cluster;
  cluster.nodes = 64;
  cluster.node.gpu.architecture = "ampere";
  cluster.node.link_bandwidth = BytesPerSecond(300e9);
  cluster.node.nics = 8;
  cluster.node.nic_bandwidth = BytesPerSecond(25e9);
  return cluster;
}

/// One ring form with round numbers: 10 us a call, 1 us a hop, 100 GB/s on links, own memory free; NICs at line rate.
CollectiveProfile Round() {
  CollectiveProfile profile;
  const CollectiveForm ring{"ring",     FormShape::kRing,      Seconds(10e-6),       Seconds(1e-6),
                            Seconds(0), BytesPerSecond(100e9), BytesPerSecond(1e30), 2};
  profile.forms.fill({ring});
  profile.message = {ring};
  profile.usable_share = {1};
  profile.crossing = {{"ring", false, Seconds(10e-6), Seconds(1e-6), Seconds(5e-6), Seconds(0), 1}};
  profile.nics = {{BytesPerSecond(25e9), 1, 1}};
  profile.crossing_message = Seconds(20e-6);
  return profile;
}

double Time(const CollectiveProfile& profile, GroupShape group, CollectiveKind kind, double size) {
  return CollectiveTime(profile, A100Cluster(), group, kind, Bytes(size)).value;
}

}  // namespace

TEST_CASE("groups that cross between sockets at once share what one group of the node gets", "[collective]") {
  CollectiveProfile profile;
  profile.usable_share = {0.9, 0.9, 0.9, 0.4};
  CHECK(LinkRatio(profile, 2) == 0.9);
  CHECK(LinkRatio(profile, 8) == 0.4);
  CHECK(LinkRatio(profile, 4, 2) == 0.2);
  CHECK(LinkRatio(profile, 2, 4) == 0.1);
  profile.usable_share = {0.1, 1};
  CHECK(LinkRatio(profile, 2, 2) == 0.1);  // never more than alone
}

TEST_CASE("a group of one costs nothing", "[collective]") {
  for (const CollectiveKind kind : kAll) CHECK(Time(Round(), {1, 1, 1, 1}, kind, 1e9) == 0);
}

TEST_CASE("a large ring collective takes its wire bytes over the link", "[collective]") {
  CHECK(Time(Round(), {8, 8, 1, 1}, CollectiveKind::kAllReduce, 1e12) == Approx(2 * 7.0 / 8 * 10).epsilon(1e-5));
  CHECK(Time(Round(), {8, 8, 1, 1}, CollectiveKind::kAllGather, 1e12) == Approx(7.0 / 8 * 10).epsilon(1e-5));
  CHECK(Time(Round(), {8, 8, 1, 1}, CollectiveKind::kReduceScatter, 1e12) == Approx(7.0 / 8 * 10).epsilon(1e-5));
  CHECK(Time(Round(), {8, 8, 1, 1}, CollectiveKind::kBroadcast, 1e12) == Approx(10.0).epsilon(1e-5));
}

TEST_CASE("an empty collective takes its latency and hops", "[collective]") {
  CHECK(Time(Round(), {8, 8, 1, 1}, CollectiveKind::kAllReduce, 0) == Approx(24e-6));
  CHECK(Time(Round(), {8, 8, 1, 1}, CollectiveKind::kAllGather, 0) == Approx(17e-6));
  // 16 ranks on 2 nodes: 2 * 14 hops inside, 2 * 1 between
  CHECK(Time(Round(), {16, 8, 2, 1}, CollectiveKind::kAllReduce, 0) == Approx((10 + 28 + 10) * 1e-6));
}

TEST_CASE("an all-reduce is a reduce-scatter and an all-gather of the same ring", "[collective]") {
  const double call = 10e-6;
  for (const GroupShape group : {GroupShape{4, 4, 1, 1}, GroupShape{8, 8, 1, 1}, GroupShape{32, 8, 4, 1}}) {
    const double both = Time(Round(), group, CollectiveKind::kReduceScatter, 3e8) +
                        Time(Round(), group, CollectiveKind::kAllGather, 3e8);
    CHECK(Time(Round(), group, CollectiveKind::kAllReduce, 3e8) == Approx(both - call));
  }
}

TEST_CASE("a group that spans nodes is held by the slower of links and NICs", "[collective]") {
  plan::Cluster cluster = A100Cluster();
  const GroupShape group{32, 8, 4, 1};
  const auto large = [&](GroupShape shape) {
    return CollectiveTime(Round(), cluster, shape, CollectiveKind::kAllReduce, Bytes(1e12)).value;
  };
  CHECK(large(group) == Approx(2 * 31.0 / 32 * 1e12 / 100e9).epsilon(1e-4));  // 200 GB/s of NICs, 100 GB/s of links
  cluster.node.nics = 2;
  CHECK(large(group) == Approx(2 * 31.0 / 32 * 1e12 / 50e9).epsilon(1e-4));
  cluster.node.nics = 8;
  CHECK(large({32, 1, 32, 8}) == Approx(2 * 31.0 / 32 * 1e12 / 25e9).epsilon(1e-4));  // eight groups, a NIC each
  CHECK(large({32, 1, 32, 1}) == Approx(2 * 31.0 / 32 * 1e12 / 25e9).epsilon(1e-4));  // alone, but one GPU has one NIC
  cluster.node.nics = 4;
  CHECK(large({32, 1, 32, 8}) == Approx(2 * 31.0 / 32 * 1e12 / 12.5e9).epsilon(1e-4));
}

TEST_CASE("a tree is chosen by the library's belief and priced by what its mean node sends", "[collective]") {
  CollectiveProfile profile = Round();
  profile.crossing[0].hop_between = Seconds(50e-6);
  profile.crossing.push_back({"tree", true, Seconds(10e-6), Seconds(1e-6), Seconds(5e-6), Seconds(0), 0.8});
  plan::Cluster cluster = A100Cluster();
  cluster.node.nics = 1;
  const auto t = [&](GroupShape group, double size) {
    return CollectiveTime(profile, cluster, group, CollectiveKind::kAllReduce, Bytes(size)).value;
  };
  // Two nodes: the tree takes 10 + 14 + 10 us and size / 20 GB/s. It is believed to take 1.85 times the bytes, so the
  // ring (138 us, 1.875 size / 25 GB/s) is chosen from 6 MB.
  CHECK(t({16, 8, 2, 1}, 4e6) == Approx(34e-6 + 4e6 / 20e9));
  CHECK(t({16, 8, 2, 1}, 8e6) == Approx(138e-6 + 1.875 * 8e6 / 25e9));
  // (138 - 34) us / (1.85 / 20 GB/s - 1.875 / 25 GB/s) = 5.943 MB
  const auto way = [&](double size, CollectiveKind kind = CollectiveKind::kAllReduce) {
    return AlgorithmOf(profile, cluster, {16, 8, 2, 1}, kind, Bytes(size));
  };
  CHECK(way(5.94e6) == plan::collectives::Algorithm::kTree);
  CHECK(way(5.95e6) == plan::collectives::Algorithm::kRing);
  CHECK(way(1e3, CollectiveKind::kAllGather) == plan::collectives::Algorithm::kRing);
  // Four: 10 + 14 + 20 us and 1.5 size.
  CHECK(t({32, 8, 4, 1}, 4e6) == Approx(44e-6 + 1.5 * 4e6 / 20e9));
}

TEST_CASE("the algorithm of an all-reduce is the one that its price names, trees first and rings from some size on",
          "[collective]") {
  const CollectiveProfile profile = ReadCollectiveProfile(A100Cluster().node, kFolder);
  for (const GroupShape& group : {GroupShape{32, 8, 4, 1}, GroupShape{512, 8, 64, 1}, GroupShape{16, 1, 16, 8}}) {
    int switches = 0;
    bool was_tree = true;
    for (double size = 1024; size < 1e11; size *= 2) {
      const auto terms = ExplainCollective(profile, A100Cluster(), group, CollectiveKind::kAllReduce, Bytes(size));
      const bool tree = AlgorithmOf(profile, A100Cluster(), group, CollectiveKind::kAllReduce, Bytes(size)) ==
                        plan::collectives::Algorithm::kTree;
      CHECK(tree == (terms[0].name.find("tree") != std::string::npos));
      switches += tree != was_tree;
      was_tree = tree;
    }
    CHECK(switches == 1);
    CHECK_FALSE(was_tree);
  }
}

TEST_CASE("groups in one node do not see the NICs", "[collective]") {
  const CollectiveProfile profile = ReadCollectiveProfile(A100Cluster().node, kFolder);
  plan::Cluster other = A100Cluster();
  other.node.nics = 1;
  other.oversubscription = 4;
  for (const CollectiveKind kind : kAll) {
    CHECK(CollectiveTime(profile, A100Cluster(), {8, 8, 1, 1}, kind, Bytes(1e6)) ==
          CollectiveTime(profile, other, {8, 8, 1, 1}, kind, Bytes(1e6)));
  }
}

TEST_CASE("all-to-all between nodes pays imbalance and oversubscription", "[collective]") {
  plan::Cluster cluster = A100Cluster();
  const auto t = [&](double imbalance) {
    return CollectiveTime(Round(), cluster, {64, 8, 8, 1}, CollectiveKind::kAllToAll, Bytes(1e12), imbalance).value;
  };
  CHECK(t(1) == Approx(1e12 * 56 / 64 / 25e9).epsilon(1e-4));
  CHECK(t(1.5) == Approx(1.5 * t(1)).epsilon(1e-4));
  const double flat = t(1);
  cluster.oversubscription = 2;
  CHECK(t(1) == Approx(2 * flat).epsilon(1e-4));
}

TEST_CASE("every profile: time grows with size and, beyond a node, with nodes", "[collective]") {
  for (const auto& [architecture, link, gb] :
       {std::tuple{"ampere", plan::NodeLink::kNvswitch, 300.0}, std::tuple{"hopper", plan::NodeLink::kNvswitch, 450.0},
        std::tuple{"blackwell", plan::NodeLink::kNvswitch, 900.0},
        std::tuple{"volta", plan::NodeLink::kNvlinkMesh, 150.0},
        std::tuple{"ampere", plan::NodeLink::kNvlinkPairs, 300.0}, std::tuple{"ampere", plan::NodeLink::kPcie, 32.0}}) {
    plan::Cluster cluster = A100Cluster();
    cluster.node.gpu.architecture = architecture;
    cluster.node.link = link;
    cluster.node.link_bandwidth = BytesPerSecond(gb * 1e9);
    const CollectiveProfile profile = ReadCollectiveProfile(cluster.node, kFolder);
    CHECK(LinkSource(profile, CollectiveKind::kAllReduce).measured);
    CHECK_FALSE(LinkSource(profile, CollectiveKind::kBroadcast).measured);
    for (const CollectiveKind kind : kAll) {
      for (const GroupShape group :
           {GroupShape{2, 2, 1, 1}, GroupShape{8, 8, 1, 1}, GroupShape{16, 8, 2, 1}, GroupShape{64, 1, 64, 8}}) {
        double last = 0;
        for (double size = 1; size < 1e11; size *= 1.7) {
          const double t = CollectiveTime(profile, cluster, group, kind, Bytes(size)).value;
          REQUIRE(t >= last);
          last = t;
        }
      }
      const auto at = [&](int nodes) {
        return CollectiveTime(profile, cluster, {8 * nodes, 8, nodes, 1}, kind, Bytes(64e6)).value;
      };
      CHECK(at(4) <= at(8));
      CHECK(at(8) <= at(64));
    }
  }
}

TEST_CASE("scatter and gather shorten a message between nodes that share NICs", "[collective]") {
  const CollectiveProfile profile = ReadCollectiveProfile(A100Cluster().node, kFolder);
  const Bytes size(50e6);
  const double whole = PipelineMessageTime(profile, A100Cluster(), {true, 8}, size, 8, false).value;
  const double cut = PipelineMessageTime(profile, A100Cluster(), {true, 8}, size, 8, true).value;
  CHECK(cut < 0.5 * whole);
  CHECK(cut > whole / 8);
  CHECK(PipelineMessageTime(profile, A100Cluster(), {true, 8}, size, 1, true).value == Approx(whole));
}

TEST_CASE("an explanation adds up to the time", "[collective]") {
  const CollectiveProfile profile = ReadCollectiveProfile(A100Cluster().node, kFolder);
  for (const CollectiveKind kind : kAll) {
    for (const GroupShape group : {GroupShape{8, 8, 1, 1}, GroupShape{16, 8, 2, 1}, GroupShape{1, 1, 1, 1}}) {
      double sum = 0;
      for (const Term& term : ExplainCollective(profile, A100Cluster(), group, kind, Bytes(5e6))) {
        sum += term.time.value;
        CHECK(!term.source.text.empty());
      }
      CHECK(sum == Approx(CollectiveTime(profile, A100Cluster(), group, kind, Bytes(5e6)).value));
    }
  }
}

TEST_CASE("a link that nobody measured is scaled from the nearest and says so", "[collective]") {
  plan::Node node = A100Cluster().node;
  node.gpu.architecture = "hopper";
  node.link_bandwidth = BytesPerSecond(200e9);  // H800
  const CollectiveProfile profile = ReadCollectiveProfile(node, kFolder);
  CHECK(profile.name == "nvlink4_nvswitch");
  for (const CollectiveKind kind : kAll) CHECK_FALSE(LinkSource(profile, kind).measured);
  CHECK(profile.link_ratio == Approx(200.0 / 450));
  CHECK(
      LinkSource(profile, CollectiveKind::kAllReduce).text.rfind("scaled by link bandwidth from nvlink4_nvswitch", 0) ==
      0);
}

TEST_CASE("another bridge between pairs leaves PCIe as it is", "[collective]") {
  plan::Cluster cluster = A100Cluster();
  cluster.node.link = plan::NodeLink::kNvlinkPairs;
  const auto t = [&](double gb, int n) {
    cluster.node.link_bandwidth = BytesPerSecond(gb * 1e9);
    return CollectiveTime(ReadCollectiveProfile(cluster.node, kFolder), cluster, {n, n, 1, 1},
                          CollectiveKind::kAllReduce, Bytes(1e9))
        .value;
  };
  CHECK(t(56, 4) == Approx(t(300, 4)));
  CHECK(t(56, 2) > 3 * t(300, 2));
}

TEST_CASE("a domain of many servers has the NICs of all of them", "[collective]") {
  plan::Cluster cluster = A100Cluster();
  cluster.node.gpus = 4;
  cluster.node.nics = 4;
  cluster.node.domain_gpus = 72;
  const GroupShape whole{144, 72, 2, 1};
  CHECK(GroupNicBandwidth(Round(), cluster.node, whole).value == Approx(72 * 25e9));
}

TEST_CASE("a kind that no table measured is not called measured because another was", "[collective]") {
  const CollectiveProfile profile = ReadLinkProfile(kFolder + "/nvlink2_mesh.json");
  CHECK(LinkSource(profile, CollectiveKind::kAllReduce).measured);
  CHECK_FALSE(LinkSource(profile, CollectiveKind::kAllGather).measured);
  CHECK_FALSE(LinkSource(profile, CollectiveKind::kRing).measured);
}

TEST_CASE("a mesh of four is not taken for a mesh of eight", "[collective]") {
  plan::Node node = A100Cluster().node;
  node.link = plan::NodeLink::kNvlinkMesh;
  node.gpu.architecture = "volta";
  node.link_bandwidth = BytesPerSecond(150e9);
  CHECK(ReadCollectiveProfile(node, kFolder).name == "nvlink2_mesh");
  node.gpus = 4;
  CHECK(ReadCollectiveProfile(node, kFolder).name == "nvlink3_mesh");
}

TEST_CASE("a folder without profiles is refused", "[collective]") {
  CHECK_THROWS_AS(ReadCollectiveProfile(A100Cluster().node, kFolder + "/absent"), Error);
}

TEST_CASE("pricing a collective is cheap enough for sweeps", "[.slow][collective]") {
  const CollectiveProfile profile = ReadCollectiveProfile(A100Cluster().node, kFolder);
  const plan::Cluster cluster = A100Cluster();
  const int calls = 1000000;
  double sum = 0;
  const std::clock_t start = std::clock();  // processor time: cores may be shared
  for (int i = 0; i < calls; ++i) {
    sum += CollectiveTime(profile, cluster, {16, 8, 2, 1}, CollectiveKind::kAllReduce, Bytes(1e3 * i)).value;
  }
  WARN(1e9 * static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC / calls << " ns a call");
  CHECK(sum > 0);
}
