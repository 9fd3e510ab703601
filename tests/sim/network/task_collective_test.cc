// Collectives inside tasks, over groups that span nodes.
#include "sim/network/task_collective.h"

#include <catch2/catch.hpp>
#include <map>

#include "plan/collectives/algorithms.h"
#include "sim/network/crossing.h"
#include "tests/sim/network/steps.h"

using namespace isochrone;
using namespace isochrone::sim;
using namespace isochrone::sim::network;
using plan::CollectiveKind;
using plan::Group;
using plan::MessageMode;
using plan::ScheduleKind;
using plan::Stream;
using plan::collectives::Algorithm;
namespace c = plan::collectives;

namespace {

/// On EightGpuNodes, with eight hosts of each group in each of two nodes: 2 x 1/2 x 25 MB of each card, 1 ms at its
/// 25 GB/s; 0.2 ms more for latency and the inside of the nodes.
constexpr double kBytes = 200e6, kAlone = 1.2e-3;

TaskCollective AllReduceAt(double begin, double end) {
  TaskCollective one;
  one.op = {CollectiveKind::kAllReduce, Group::kTensor, Bytes(kBytes), plan::Dtype::kBf16, 1};
  one.begin = begin;
  one.end = end;
  one.alone = kAlone;
  return one;
}

/// `list` in every kind of task.
StepCollectives InEveryTask(const plan::Plan& p, const std::vector<TaskCollective>& list) {
  StepCollectives inside;
  const plan::Placement& place = p.schedule.placement;
  inside.task.assign(static_cast<std::size_t>(place.ranks) * place.chunks * plan::kPhases, list);
  return inside;
}

/// Two tasks, forward 2 ms and backward 4 ms, on tensor groups of 16.
plan::Plan TwoTasks(int groups) {
  plan::Plan p = PlanOf(ScheduleKind::k1f1b, 1, 1, 1, MessageMode::kOverlapped);
  p.layout = {.tp = 16, .cp = 1, .dp = groups, .pp = 1};
  return p;
}

/// Two nodes below each of two leaves; the leaves' trunk has the bandwidth of four of their sixteen cards.
Topology NarrowLeaves() {
  ClusterShape shape = EightGpuNodes(4);
  shape.fabric.kind = FabricKind::kFatTree2;
  shape.fabric.nodes_per_leaf = 2;
  shape.fabric.oversubscription = 4;
  return Topology(shape);
}

/// Group g on node g of the first leaf and node g of the second.
std::vector<int> AcrossLeaves(int groups) {
  std::vector<int> hosts;
  for (int group = 0; group < groups; ++group)
    for (int node : {group, 2 + group})
      for (int gpu = 0; gpu < 8; ++gpu) hosts.push_back(8 * node + gpu);
  return hosts;
}

NetworkStep PlayTwoTasks(int groups, const std::vector<TaskCollective>& list, EngineChoice engine) {
  const plan::Plan p = TwoTasks(groups);
  return SimulateOnNetwork(p, CostsOf(p), NarrowLeaves(), AcrossLeaves(groups), {.engine = engine},
                           InEveryTask(p, list));
}

}  // namespace

TEST_CASE("alone on the links, groups over nodes take what their tasks cost", "[network][groups]") {
  const Topology topology(EightGpuNodes(4));
  plan::Plan p = PlanOf(ScheduleKind::k1f1b, 2, 1, 4, MessageMode::kBlocking);
  p.message_bytes = Bytes(0);  // a receiver may still be in a task, whose collectives the bytes would meet
  const StepCosts costs = UniformCosts(p.schedule, {Seconds(2e-3), Seconds(2.5e-3), Seconds(1.5e-3), Seconds(2.5e-6)});
  const auto check = [&](plan::Layout layout, Group group, CollectiveKind kind, double bytes) {
    INFO(NameOf(group) << " " << NameOf(kind));
    p.layout = layout;
    TaskCollective one = AllReduceAt(0.4e-3, 0.4e-3 + kAlone);
    one.op.group = group;
    one.op.kind = kind;
    one.op.bytes = Bytes(bytes);
    TaskCollective hidden = one;  // needed where the task ends, 0.1 ms after it is over
    hidden.begin = 1.6e-3;
    hidden.end = 1.9e-3;
    hidden.alone = 0.2e-3;
    hidden.op.bytes = Bytes(bytes / 20);
    CheckEqual(p, costs, topology, kAll, InEveryTask(p, {one, hidden}));
  };
  const plan::Layout tensor{.tp = 16, .cp = 1, .dp = 1, .pp = 2}, context{.tp = 8, .cp = 2, .dp = 1, .pp = 2},
      expert{.tp = 1, .cp = 1, .dp = 16, .pp = 2, .ep = 16};
  for (const CollectiveKind kind :
       {CollectiveKind::kAllReduce, CollectiveKind::kAllGather, CollectiveKind::kReduceScatter})
    check(tensor, Group::kTensor, kind, kBytes);
  // one host of each context group in a node: eight groups beside each other
  check(context, Group::kContext, CollectiveKind::kRing, kBytes / 8);
  check(context, Group::kContext, CollectiveKind::kAllGather, kBytes / 8);
  check(expert, Group::kExpert, CollectiveKind::kAllToAll, kBytes / 8);
}

TEST_CASE("two tensor groups below one oversubscribed leaf take as long as its trunk needs", "[network][groups]") {
  const double tasks = 6e-3;
  const std::vector<TaskCollective> exposed = {AllReduceAt(0.5e-3, 0.5e-3 + kAlone)};
  for (const EngineChoice engine : {EngineChoice::kMaxMin, EngineChoice::kSimGrid}) {
    // one group: eight cards want a trunk of four, so the 1 ms of its transfer becomes 2 ms in both tasks
    const NetworkStep one = PlayTwoTasks(1, exposed, engine);
    CHECK(one.step.makespan == Approx(tasks + 2 * 1e-3).epsilon(1e-6));
    // two groups: sixteen cards, 4 ms
    const NetworkStep two = PlayTwoTasks(2, exposed, engine);
    CHECK(two.step.makespan == Approx(tasks + 2 * 3e-3).epsilon(1e-6));
    CHECK(two.uncontended.value == Approx(tasks).epsilon(1e-6));
    CHECK(two.step.ranks[0].late[static_cast<int>(Stream::kTensor)] == Approx(2 * 3e-3).epsilon(1e-6));
    CHECK(two.step.ranks[0].Sum() == Approx(two.step.makespan).epsilon(1e-9));
    CHECK(two.links[0].delay.value == Approx(2 * 8 * 3e-3 * 2).epsilon(1e-3));  // 8 cards of 2 groups, 2 tasks
    // what is not needed for another 0.3 ms is that much less late
    const NetworkStep hidden = PlayTwoTasks(2, {AllReduceAt(0.5e-3, 0.5e-3 + kAlone + 0.3e-3)}, engine);
    CHECK(hidden.step.makespan == Approx(tasks + 2 * 2.7e-3).epsilon(1e-6));
  }
}

TEST_CASE("a group inside a node takes its price, whoever is on the links", "[network][groups]") {
  plan::Plan p = TwoTasks(1);
  p.layout.tp = 8;
  const NetworkStep step =
      SimulateOnNetwork(p, CostsOf(p), NarrowLeaves(), {}, {}, InEveryTask(p, {AllReduceAt(0.5e-3, 0.5e-3 + kAlone)}));
  CHECK(step.messages == 0);
  CHECK(step.step.makespan == Approx(6e-3).epsilon(1e-9));
}

TEST_CASE("joined collectives carry the bytes of all and take as long alone", "[network][groups]") {
  const TaskCollective first = AllReduceAt(1e-3, 2.2e-3), second = AllReduceAt(4e-3, 5.5e-3);  // hides 0.3 ms
  TaskCollective gather = AllReduceAt(6e-3, 7.2e-3);
  gather.op.kind = CollectiveKind::kReduceScatter;
  const std::vector<TaskCollective> all = {first, second, gather};
  const std::vector<TaskCollective> joined = Merged(all, 0);
  REQUIRE(joined.size() == 1);
  CHECK(joined[0].op.kind == CollectiveKind::kAllGather);
  CHECK(joined[0].op.bytes.value == Approx(5 * kBytes));
  CHECK(joined[0].begin == 1e-3);
  CHECK(joined[0].end == 7.2e-3);
  CHECK(joined[0].alone == Approx(6.2e-3 - 0.3e-3));
  CHECK(Merged(all, 1).size() == 3);
  CHECK(Merged(all, 0.7).size() == 2);
}

TEST_CASE("beyond the switch-over the collectives of a task are joined, and the step stays the same",
          "[network][groups]") {
  constexpr int kEach = 100, kMicrobatches = 400;
  plan::Plan p = PlanOf(ScheduleKind::k1f1b, 1, 1, kMicrobatches, MessageMode::kOverlapped);
  p.layout = {.tp = 16, .cp = 1, .dp = 1, .pp = 1};
  std::vector<TaskCollective> list;
  for (int i = 0; i < kEach; ++i) {
    list.push_back(AllReduceAt(i * 20e-6, i * 20e-6 + 10e-6));
    list.back().op.bytes = Bytes(kBytes / 1000);
    list.back().alone = 10e-6;
  }
  const Topology topology(EightGpuNodes(2));
  const int few = SimulateOnNetwork(TwoTasks(1), CostsOf(TwoTasks(1)), topology, {}, {}, InEveryTask(p, list)).messages;
  CHECK(few == 2 * kEach * 16);
  const NetworkStep many =
      SimulateOnNetwork(p, CostsOf(p), topology, {}, {.engine = EngineChoice::kUncontended}, InEveryTask(p, list));
  REQUIRE(2.0 * kMicrobatches * kEach * 16 > kMostTaskMessages);
  CHECK(many.messages <= kMostTaskMessages);
  CHECK(many.messages > 0.9 * kMostTaskMessages);
  CHECK(many.step.makespan == Approx(kMicrobatches * 6e-3).epsilon(1e-9));
}

TEST_CASE("flows between nodes carry what the message lists of their collectives carry", "[network][groups]") {
  using Traffic = std::map<std::pair<int, int>, double>;
  const auto check = [](const Topology& topology, const c::StepList& list, CollectiveKind kind, Algorithm algorithm,
                        double list_size) {
    std::vector<int> hosts;
    for (int r = 0; r < list.Ranks(); ++r) hosts.push_back(r);
    Traffic steps, flows;
    for (int i = 0; i < list.Size(); ++i)
      if (const c::Message& m = list.At(i); topology.NodeOf(m.src) != topology.NodeOf(m.dst))
        steps[{m.src, m.dst}] += list.BytesOf(i, Bytes(list_size)).value;
    const plan::Collective op{kind, Group::kTensor, Bytes(kBytes), plan::Dtype::kBf16, 1};
    for (const CrossingHop& hop : CrossingHops(topology, hosts, op, algorithm))
      flows[{hop.src, hop.dst}] += hop.bytes.value;
    REQUIRE(flows.size() == steps.size());
    for (const auto& [pair, bytes] : steps) CHECK(flows[pair] == Approx(bytes));
  };
  for (const int nodes : {2, 3, 6, 8}) {
    INFO(nodes << " nodes");
    const Topology eight(EightGpuNodes(nodes)), single(Crossbar(nodes));
    using K = CollectiveKind;
    check(eight, c::HierarchicalAllReduce(8 * nodes, 8), K::kAllReduce, Algorithm::kRing, kBytes);
    check(eight, c::HierarchicalAllGather(8 * nodes, 8), K::kAllGather, Algorithm::kRing, kBytes);
    check(eight, c::HierarchicalReduceScatter(8 * nodes, 8), K::kReduceScatter, Algorithm::kRing, kBytes);
    check(single, c::DoubleBinaryTreeAllReduce(nodes, 4), K::kAllReduce, Algorithm::kTree, kBytes);
    check(single, c::HalvingDoublingAllReduce(nodes), K::kAllReduce, Algorithm::kHalvingDoubling, kBytes);
    check(single, c::PairwiseAllToAll(nodes), K::kAllToAll, Algorithm::kRing, kBytes * nodes);
    check(single, c::ChainBroadcast(nodes, 8), K::kBroadcast, Algorithm::kRing, kBytes);
  }
}
