#include "costmodel/communication.h"

#include <catch2/catch.hpp>

#include "costmodel/explain.h"

using namespace isochrone;
using namespace isochrone::costmodel;

namespace {

struct Machine {
  plan::Cluster cluster;
  plan::Layout layout;
};

/// Two nodes of 8 A100 with 8 NICs of 200 Gb/s each.
Machine TwoNodes(int tp, int dp, int pp) {
  Machine machine;
  machine.cluster.nodes = 2;
  machine.cluster.node.gpu.architecture = "ampere";
  machine.cluster.node.link_bandwidth = BytesPerSecond(300e9);
  machine.cluster.node.nics = 8;
  machine.cluster.node.nic_bandwidth = BytesPerSecond(25e9);
  machine.layout.tp = tp, machine.layout.dp = dp, machine.layout.pp = pp;
  return machine;
}

double Time(const Machine& machine, plan::Group group) {
  const Communication communication(machine.cluster, machine.layout);
  return communication.TimeOf(plan::Collective{plan::CollectiveKind::kAllReduce, group, Bytes(1e9)}).value;
}

}  // namespace

TEST_CASE("a group is priced by where its ranks lie", "[communication]") {
  const Machine inner = TwoNodes(8, 2, 1), outer = TwoNodes(16, 1, 1);
  CHECK(Time(outer, plan::Group::kTensor) > Time(inner, plan::Group::kTensor));
  CHECK(Time(outer, plan::Group::kData) == 0);
  // eight data groups of two share eight NICs: 1 GB each way over 25 GB/s at best
  CHECK(Time(inner, plan::Group::kData) > 1e9 / 25e9);
  CHECK(Time(inner, plan::Group::kData) < 1.2e9 / 25e9);
}

TEST_CASE("a pipeline message within a node is faster than between nodes", "[communication]") {
  const Machine within = TwoNodes(2, 2, 2), between = TwoNodes(8, 1, 2);
  const Communication near(within.cluster, within.layout), far(between.cluster, between.layout);
  CHECK_FALSE(near.MessagesCrossNodes());
  CHECK(far.MessagesCrossNodes());
  CHECK(near.MessageTime(Bytes(1e8), false, false) < far.MessageTime(Bytes(1e8), false, true));
  CHECK(far.MessageTime(Bytes(1e8), true, true) < 0.5 * far.MessageTime(Bytes(1e8), false, true));
  CHECK(far.TimeOf(plan::Message{Bytes(1e8)}) == far.MessageTime(Bytes(1e8), false, true));
}

TEST_CASE("the terms of what is said add up to its time", "[communication]") {
  const Machine machine = TwoNodes(8, 1, 2);
  const Communication communication(machine.cluster, machine.layout);
  const plan::Collective reduce{plan::CollectiveKind::kAllReduce, plan::Group::kTensor, Bytes(3e7)};
  const plan::Message message{Bytes(3e7)};
  const auto sum = [](const std::vector<Term>& terms) {
    Seconds total;
    for (const Term& term : terms) total += term.time;
    return total.value;
  };
  CHECK(sum(communication.Explain(reduce)) == Approx(communication.TimeOf(reduce).value));
  CHECK(sum(communication.Explain(message)) == Approx(communication.TimeOf(message).value));
}
