// The network engine beside the event engine: equal where nothing is shared.
#include "sim/network/network_step.h"

#include <catch2/catch.hpp>

#include "tests/sim/network/steps.h"

using namespace isochrone;
using namespace isochrone::sim;
using namespace isochrone::sim::network;
using plan::MessageMode;
using plan::ScheduleKind;

namespace {

plan::Op CollectiveOf(plan::Group group, double bytes, plan::CollectiveKind kind = plan::CollectiveKind::kAllReduce) {
  plan::Op op;
  op.name = "reduce";
  op.stream = plan::Stream::kData;
  op.kind = plan::Collective{kind, group, Bytes(bytes), plan::Dtype::kFp32, 1};
  return op;
}

}  // namespace

TEST_CASE("without contention the network engine plays every schedule like the event engine", "[network][step]") {
  ClusterShape shape = EightGpuNodes(1);  // every pair of GPUs has a cable like a port of Crossbar
  shape.node.gpus = 4;
  shape.node.inside = Inside::kNvLinkMesh;
  shape.node.nvlink_bandwidth = BytesPerSecond(3 * 25e9);
  shape.node.nvlink_latency = Seconds(2.5e-6);
  const Topology topology(shape);
  using K = ScheduleKind;
  for (const MessageMode mode : {MessageMode::kOverlapped, MessageMode::kBlocking}) {
    const auto name = [mode](K kind) {
      return plan::NameOf(kind) + (mode == MessageMode::kBlocking ? ", blocking" : ", overlapped");
    };
    for (const K kind : {K::kGpipe, K::k1f1b, K::kInterleaved1f1b, K::kZbH1, K::kZbH2}) {
      INFO(name(kind));
      const plan::Plan p = PlanOf(kind, 4, kind == K::kInterleaved1f1b ? 2 : 1, 8, mode);
      CheckEqual(p, CostsOf(p), topology, kAll);
    }
    // where stages come back to a rank, activations and gradients may meet on one cable
    for (const K kind : {K::kZbV, K::kVHalf, K::kVMin, K::kDualPipe, K::kDualPipeV}) {
      INFO(name(kind));
      const plan::Plan p = PlanOf(kind, 4, 2, 8, mode);
      CheckEqual(p, CostsOf(p), topology, {EngineChoice::kUncontended});
    }
  }
}

TEST_CASE("replicas and tensor ranks add no time of their own", "[network][step]") {
  // 2 stages x 2 replicas x 4 tensor ranks on rails of their own: messages cut by 4 and gathered inside the node
  ClusterShape shape = EightGpuNodes(2);
  shape.fabric.kind = FabricKind::kRailOptimised;
  shape.fabric.nodes_per_leaf = 2;
  plan::Plan p = PlanOf(ScheduleKind::k1f1b, 2, 1, 4, MessageMode::kBlocking);
  p.layout = {.tp = 4, .cp = 1, .dp = 2, .pp = 2};
  p.message_scatter_gather = true;
  const double message = 2.5e-6 + kMessage / 4 / 25e9 + 3 * (2e-6 + kMessage / 4 / 300e9);
  StepCosts costs = UniformCosts(p.schedule, {Seconds(2e-3), Seconds(2e-3), Seconds(2e-3), Seconds(message)});
  CheckEqual(p, costs, Topology(shape), kAll);
  p.message_scatter_gather = false;
  costs = UniformCosts(p.schedule, {Seconds(2e-3), Seconds(2e-3), Seconds(2e-3), Seconds(kMessageTime)});
  CheckEqual(p, costs, Topology(shape), kAll);
}

TEST_CASE("a reduction beside the backward pass meets the pipeline's messages on the card", "[network][step]") {
  // 2 stages x 2 replicas, each GPU with one card. The last stage reduces 50 MB after its only backward pass, just as
  // it sends 25 MB back: ring of 2, two steps of 25 MB each way.
  plan::Plan p = PlanOf(ScheduleKind::k1f1b, 2, 1, 1, MessageMode::kOverlapped);
  p.layout = {.tp = 1, .cp = 1, .dp = 2, .pp = 2};
  plan::SideTask side;
  side.rank = 1;
  side.op = CollectiveOf(plan::Group::kData, 50e6);
  side.after = {0 + 1, 1.0};
  p.side = {side};
  StepCosts costs = CostsOf(p);
  costs.side = {1.0};  // not used: the messages take what they take
  const NetworkStep alone = SimulateOnNetwork(p, costs, Topology(Crossbar(4)), {}, {});
  // F0 2 ms, message, F1 2 ms, B1 4 ms; then the gradient and the first ring step share the card for 2 ms, the second
  // step has it alone
  const double backward_done = 2e-3 + kMessageTime + 2e-3 + 4e-3;
  CHECK(alone.step.rank_end[1] == Approx(backward_done + 2 * 2.5e-6 + 2e-3 + 1e-3).epsilon(1e-3));
  CHECK(alone.step.makespan == Approx(backward_done + 2.5e-6 + 2e-3 + 4e-3).epsilon(1e-3));
  CHECK(alone.uncontended.value == Approx(backward_done + kMessageTime + 4e-3).epsilon(1e-3));
  REQUIRE_FALSE(alone.links.empty());
  const LinkLoad& worst = alone.links[0];
  CHECK(worst.delay.value == Approx(2 * 1e-3).epsilon(0.01));  // the gradient and the ring's first step, 1 ms each
  CHECK(worst.shared.value == Approx(2e-3).epsilon(0.01));
  CHECK(worst.first_shared.value == Approx(backward_done).epsilon(0.01));
  CHECK(worst.most_at_once == 2);
  REQUIRE(worst.labels.size() == 2);
  CHECK(worst.labels[0].label == static_cast<int>(plan::Stream::kData));
  CHECK(worst.labels[0].bytes.value == Approx(50e6));
  CHECK(worst.labels[1].label == static_cast<int>(plan::Stream::kPipeline));
  // four cards: two carry 50 MB of gradients, all 25 MB of pipeline messages
  const TierLoad* cards = nullptr;
  for (const TierLoad& tier : alone.tiers)
    if (tier.from == VertexKind::kNic && tier.to == VertexKind::kLeaf) cards = &tier;
  REQUIRE(cards != nullptr);
  CHECK(cards->links == 4);
  CHECK(cards->bytes.value == Approx(2 * 50e6 + 4 * 25e6));
  CHECK(cards->most_utilised == Approx(75e6 / 25e9 / alone.step.makespan));
}

TEST_CASE("an epilogue's reductions run over the network, its other ops take their price", "[network][step]") {
  plan::Plan p = PlanOf(ScheduleKind::k1f1b, 2, 1, 2, MessageMode::kBlocking);
  p.layout = {.tp = 1, .cp = 1, .dp = 2, .pp = 2};
  const plan::Op norm = CollectiveOf(plan::Group::kModel, 8), tied = CollectiveOf(plan::Group::kEmbedding, 25e6);
  p.epilogue = {{tied, CollectiveOf(plan::Group::kDataContext, 50e6), norm}, {tied, norm}};
  StepCosts costs = CostsOf(p);
  costs.epilogue = {{9, 9, 1e-3}, {9, 1e-3}};
  const StepResult tasks = Simulate(PlanOf(ScheduleKind::k1f1b, 2, 1, 2, MessageMode::kBlocking), CostsOf(p), false);
  const NetworkStep got = SimulateOnNetwork(p, costs, Topology(Crossbar(4)), {}, {});
  // both replicas: ring of 2 over 25 MB, then ring of 2 over 50 MB on the first stage, then the norm for all
  const double embedding = 2 * (2.5e-6 + 0.5e-3), data = 2 * (2.5e-6 + 1e-3);
  CHECK(got.step.makespan == Approx(tasks.makespan + embedding + data + 1e-3).epsilon(1e-6));
  REQUIRE(got.epilogue[0].size() == 3);
  CHECK(got.epilogue[0][1] == Approx(data).epsilon(1e-6));
  CHECK(got.epilogue[1][1] == Approx(1e-3).epsilon(1e-6));
  CHECK(got.step.ranks[0].epilogue == Approx(embedding + data + 1e-3).epsilon(1e-6));
  CHECK(got.step.ranks[1].barrier == Approx(data + tasks.rank_end[0] - tasks.rank_end[1]).epsilon(1e-6));
  CHECK(got.step.ranks[1].Sum() == Approx(got.step.makespan).epsilon(1e-9));
}
