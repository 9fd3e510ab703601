// State: bytes by format, what sharding moves, what experts receive.
#include <catch2/catch.hpp>

#include <algorithm>

#include "plan/build.h"
#include "plan/expert_load.h"
#include "plan/memory.h"
#include "plan/step_program.h"

using namespace isochrone;
using namespace isochrone::plan;

namespace {

Scenario Llama(Strategy strategy) {
  Scenario s;
  Model& m = s.model;
  m.layers = 32;
  m.hidden = 4096;
  m.heads = m.kv_heads = 32;
  m.head_dim = 128;
  m.ffn = 11008;
  m.mlp = MlpKind::kSwiglu;
  m.normalization = NormKind::kRms;
  m.position = PositionKind::kRotary;
  m.linear_bias = m.tied_embeddings = false;
  m.sequence = 2048;
  m.vocabulary = 32000;
  s.strategy = strategy;
  s.cluster.node.gpus = s.cluster.node.domain_gpus = 8;
  s.batch = {.sequences = strategy.data, .microbatch = 1};
  return s;
}

StageMemory Memory(const Strategy& strategy) {
  const Scenario s = Llama(strategy);
  return MemoryOf(s, BuildPlan(s)).front();
}

const LayerProgram& Layer(const Plan& plan) {
  return *std::find_if(plan.programs.begin(), plan.programs.end(),
                       [](const LayerProgram& p) { return p.name == "transformer"; });
}

int Count(const std::vector<Op>& ops, CollectiveKind kind, Group group) {
  return static_cast<int>(std::count_if(ops.begin(), ops.end(), [&](const Op& op) {
    const auto* c = std::get_if<Collective>(&op.kind);
    return c != nullptr && c->kind == kind && c->group == group;
  }));
}

}  // namespace

TEST_CASE("bytes a parameter are those of the distributed optimizer's table", "[state]") {
  const auto check = [](Dtype precision, Dtype gradient, Dtype moments, double whole, double shared) {
    Strategy s;
    s.precision = precision;
    s.gradient_dtype = gradient;
    s.moment_dtype = moments;
    const StateBytes bytes = StateBytesOf(s);
    CHECK(bytes.parameter + bytes.gradient == whole);
    CHECK(bytes.optimizer == shared);
  };
  check(Dtype::kFp16, Dtype::kFp16, Dtype::kFp32, 4, 16);
  check(Dtype::kBf16, Dtype::kFp32, Dtype::kFp32, 6, 12);
  check(Dtype::kFp32, Dtype::kFp32, Dtype::kFp32, 8, 8);
  check(Dtype::kBf16, Dtype::kFp32, Dtype::kBf16, 6, 8);
}

TEST_CASE("PyTorch's DistributedDataParallel keeps a copy of all gradients in its buckets", "[state]") {
  Strategy s;
  s.data = 8;
  s.gradient_dtype = s.gradient_reduce_dtype = Dtype::kFp16;
  s.framework = "megatron_lm_2021";
  const StageMemory alone = Memory(s);
  s.overlap_data = true;
  const StageMemory overlapped = Memory(s);
  CHECK((overlapped.Total() - alone.Total()).value == Approx(alone.gradients.value));
  for (const char* framework : {"megatron_core", "megatron_deepspeed", "fsdp2"}) {
    INFO(framework);
    s.framework = framework;
    s.overlap_data = true;
    const Bytes with = Memory(s).Total();
    s.overlap_data = false;
    CHECK(with.value == Memory(s).Total().value);
  }
}

TEST_CASE("Megatron-LM's gradient buffers are cleared, averaged and looked at beside the norm", "[state]") {
  Strategy y;
  y.data = 2;
  const auto passes = [](const Strategy& strategy) {  // over all gradients of a rank, the norm's own among them
    Scenario s = Llama(strategy);
    const Plan plan = BuildPlan(s);
    const RankStep step = StepWorkOf(s, plan).front();
    const auto norm = std::find_if(step.epilogue.begin(), step.epilogue.end(),
                                   [](const Op& op) { return std::holds_alternative<GradientNorm>(op.kind); });
    REQUIRE(norm != step.epilogue.end());
    return std::get<GradientNorm>(norm->kind).bytes.value / MemoryOf(s, plan).front().gradients.value;
  };
  CHECK(passes(y) == Approx(1 + 4));
  y.check_gradients = false;
  CHECK(passes(y) == Approx(1 + 3));
  y.average_in_collective = true;
  CHECK(passes(y) == Approx(1 + 1));
  y.optimizer_sharding = Sharding::kZero1;  // the norm is of a shard, the buffer of everything
  CHECK(passes(y) == Approx(0.5 + 1));
  y = {};
  CHECK(passes(y) == Approx(1 + 2));  // nothing to average over
  y.data = 2;
  y.framework = "megatron_lm_2021";
  CHECK(passes(y) == Approx(1 + 3));
  y.overlap_data = true;
  CHECK(passes(y) == Approx(1 + 5));
  for (const char* framework : {"fsdp2", "megatron_deepspeed", "other"}) {
    INFO(framework);
    y.framework = framework;
    CHECK(passes(y) == Approx(1));
  }
}

TEST_CASE("without a kernel of its own squared ReLU passes over memory 4 times forward and 10 times backward",
          "[state]") {
  const auto passes = [](bool fused) {
    Strategy y;
    y.fused_squared_relu = fused;
    Scenario s = Llama(y);
    s.model.mlp = MlpKind::kSquaredRelu;
    const Plan plan = BuildPlan(s);
    const double once = 2.0 * 2048 * 11008;
    std::vector<double> traffic;
    for (const Phase phase : {Phase::kForward, Phase::kBackward}) {
      for (const Op& op : Layer(plan).Ops(phase)) {
        const auto* e = std::get_if<Elementwise>(&op.kind);
        if (e != nullptr && e->kind == ElementwiseKind::kSquaredRelu)
          traffic.push_back((e->read + e->written).value / once);
      }
    }
    return traffic;
  };
  CHECK(passes(true) == std::vector<double>{2, 3});
  CHECK(passes(false) == std::vector<double>{4, 10});
}

TEST_CASE("GaLore at a quarter of the rank saves 65.5 % of Adam's moments of a 7B model, within a point", "[state]") {
  Strategy adam;
  adam.optimizer = OptimizerKind::kGaloreAdam;
  adam.moment_dtype = Dtype::kBf16;
  adam.galore_rank = 1024;
  const double galore = Memory(adam).optimizer.value;
  const double whole = 2 * 2 * 6738415616.0;  // two moments in bf16
  CHECK(100 * (1 - galore / whole) == Approx(65.5).margin(1));
}

TEST_CASE("zero3 gathers each layer forward and backward and reduces its gradient; zero1 does neither", "[state]") {
  Strategy s;
  s.data = 8;
  s.optimizer_sharding = Sharding::kZero3;
  const Plan plan = BuildPlan(Llama(s));
  const LayerProgram& layer = Layer(plan);
  CHECK(Count(layer.Ops(Phase::kForward), CollectiveKind::kAllGather, Group::kShard) == 1);
  CHECK(Count(layer.Ops(Phase::kBackward), CollectiveKind::kAllGather, Group::kShard) == 1);
  CHECK(Count(layer.Ops(Phase::kBackward), CollectiveKind::kReduceScatter, Group::kShard) == 1);
  CHECK(Count(plan.prologue[0], CollectiveKind::kAllGather, Group::kShard) == 1);
  s.optimizer_sharding = Sharding::kZero1;
  const Plan one = BuildPlan(Llama(s));
  CHECK(Count(Layer(one).Ops(Phase::kForward), CollectiveKind::kAllGather, Group::kShard) == 0);
  CHECK(Count(Layer(one).Ops(Phase::kBackward), CollectiveKind::kReduceScatter, Group::kShard) == 0);
}

TEST_CASE("DeepSpeed's zero3 gathers parameter by parameter, and again after recomputation those it had to release",
          "[state]") {
  Strategy s;
  s.data = 8;
  s.optimizer_sharding = Sharding::kZero3;
  s.framework = "megatron_deepspeed";
  s.recompute = Recompute::kFull;
  const auto gathers = [&](Scenario scenario, Phase phase) {
    const Plan plan = BuildPlan(scenario);
    return Count(Layer(plan).Ops(phase), CollectiveKind::kAllGather, Group::kShard);
  };
  CHECK(gathers(Llama(s), Phase::kForward) == 4);  // qkv, projection, fc1, fc2; norms stay whole
  CHECK(gathers(Llama(s), Phase::kRecompute) == 4);
  CHECK(gathers(Llama(s), Phase::kBackward) == 0);  // a layer of 0.2 billion parameters is kept until its backward pass
  Scenario wide = Llama(s);
  wide.model.hidden = wide.model.heads * wide.model.head_dim * 4;
  wide.model.heads = wide.model.kv_heads = wide.model.heads * 4;
  wide.model.ffn *= 4;
  CHECK(gathers(wide, Phase::kForward) == 4);
  CHECK(gathers(wide, Phase::kBackward) == 3);  // all but the last, which the backward pass takes first
}

TEST_CASE("gathers and reductions that nothing overlaps start when the layer has computed", "[state]") {
  Strategy s;
  s.data = 8;
  s.optimizer_sharding = Sharding::kZero3;
  const auto waits = [&](Phase phase) {
    const Plan plan = BuildPlan(Llama(s));
    const auto& ops = Layer(plan).Ops(phase);
    return std::any_of(ops.begin(), ops.end(),
                       [](const Op& op) { return op.stream == Stream::kData && !op.after.empty(); });
  };
  CHECK(waits(Phase::kForward));
  CHECK(waits(Phase::kBackward));
  s.overlap_data = s.overlap_parameter_gather = true;
  CHECK(!waits(Phase::kForward));
  CHECK(!waits(Phase::kBackward));
}

TEST_CASE("FSDP2 and DeepSpeed copy parameters out of the gathered buffer and gradients into the reduced one",
          "[state]") {
  Strategy s;
  s.data = 8;
  s.optimizer_sharding = Sharding::kZero3;
  const auto moved = [&](Phase phase) {
    Bytes bytes(0);
    const Plan plan = BuildPlan(Llama(s));
    for (const Op& op : Layer(plan).Ops(phase)) {
      const auto* copy = std::get_if<Elementwise>(&op.kind);
      if (copy && op.name.ends_with("_copy")) bytes += copy->read + copy->written;
    }
    return bytes.value / Layer(plan).parameters;
  };
  CHECK(moved(Phase::kForward) == 0);   // FSDP1's buffer is the parameters
  CHECK(moved(Phase::kBackward) == 6);  // bf16 gradients are cast to the fp32 that is reduced
  s.framework = "fsdp2";
  CHECK(moved(Phase::kForward) == 4);
  CHECK(moved(Phase::kBackward) == 10);
  s.framework = "megatron_deepspeed";
  CHECK(moved(Phase::kForward) == 6);        // cleared before
  CHECK(moved(Phase::kBackward) == 6 + 10);  // averaged before
}

TEST_CASE("HSDP shards within its group and adds the shards across groups", "[state]") {
  Strategy s;
  s.data = 8;
  s.optimizer_sharding = Sharding::kZero3;
  const double whole = Memory(s).parameters.value;
  s.shard_group = 4;
  CHECK(Memory(s).parameters.value == Approx(2 * whole));
  const Plan plan = BuildPlan(Llama(s));
  CHECK(Count(Layer(plan).Ops(Phase::kBackward), CollectiveKind::kAllReduce, Group::kReplica) == 1);
  CHECK(ShapeOf(plan.layout, Group::kShard).size == 4);
  CHECK(ShapeOf(plan.layout, Group::kReplica).size == 2);
}

TEST_CASE("what is offloaded leaves the GPU and is counted where it goes", "[state]") {
  Strategy s;
  s.data = 8;
  s.optimizer_sharding = Sharding::kZero3;
  const StageMemory kept = Memory(s);
  s.offload_optimizer = OffloadTarget::kNvme;
  s.offload_parameters = OffloadTarget::kHost;
  const StageMemory away = Memory(s);
  CHECK(away.optimizer.value == 0);
  CHECK(away.parameters.value == 0);
  CHECK(away.nvme.value == Approx(kept.optimizer.value));
  CHECK(away.host.value == Approx(kept.parameters.value));
}

TEST_CASE("only the first layers of a stage recompute where a number of them is given", "[state]") {
  Strategy s;
  s.recompute = Recompute::kFull;
  const double all = Memory(s).activations.value;
  s.recompute_layers = 16;
  const double half = Memory(s).activations.value;
  s.recompute = Recompute::kNone;
  s.recompute_layers = 0;
  const double none = Memory(s).activations.value;
  CHECK(half == Approx((all + none) / 2));
}

namespace {

const Op* Named(const std::vector<Op>& ops, const std::string& name) {
  const auto it = std::find_if(ops.begin(), ops.end(), [&](const Op& op) { return op.name == name; });
  return it == ops.end() ? nullptr : &*it;
}

Plan Pipelined(ScheduleKind kind, const Strategy& from = {}) {
  Strategy s = from;
  s.pipeline = 4;
  s.schedule = kind;
  Scenario scenario = Llama(s);
  scenario.model.tied_embeddings = true;
  scenario.batch.sequences = 8 * s.data;
  return BuildPlan(scenario);
}

}  // namespace

TEST_CASE("experts that tensor ranks hold copies of are reduced and gathered where dense layers have one copy",
          "[state]") {
  Strategy strategy;
  strategy.tensor = 4;
  Scenario s = Llama(strategy);
  s.model.moe.emplace();
  s.model.moe->experts = 8, s.model.moe->topk = 2, s.model.moe->ffn = 11008;
  s.strategy.optimizer_sharding = Sharding::kZero1;
  for (const bool beside : {false, true}) {
    s.strategy.overlap_data = s.strategy.overlap_parameter_gather = beside;
    const Plan plan = BuildPlan(s);
    REQUIRE(plan.layout.Edp() == 4);
    std::vector<Op> ops = plan.epilogue[0];
    for (const SideTask& task : plan.side) ops.push_back(task.op);
    CHECK(Count(ops, CollectiveKind::kReduceScatter, Group::kExpertData) == 1);
    CHECK(Count(ops, CollectiveKind::kAllGather, Group::kExpertData) >= 1);
    CHECK(Count(ops, CollectiveKind::kReduceScatter, Group::kDataContext) == 0);
    CHECK(Count(ops, CollectiveKind::kAllGather, Group::kShard) == 0);
  }
}

TEST_CASE("the two copies of a bidirectional schedule's stages reduce their gradients together", "[state]") {
  const Plan both_ways = Pipelined(ScheduleKind::kDualPipe);
  for (const std::vector<Op>& ops : both_ways.epilogue) {
    const Op* twin = Named(ops, "twin_gradients");
    REQUIRE(twin);
    CHECK(std::get<Collective>(twin->kind).group == Group::kTwin);
  }
  const SlotParameters first = ParametersOf(both_ways, 0, 0), second = ParametersOf(both_ways, 0, 1);
  CHECK(std::get<Collective>(Named(both_ways.epilogue[0], "twin_gradients")->kind).bytes.value ==
        Approx(4 * (first.dense + second.dense)));
  CHECK(RanksOf(both_ways.layout, Group::kTwin, 1) == std::vector<int>{1, 2});
  CHECK(RanksOf(both_ways.layout, Group::kTwin, 3) == std::vector<int>{0, 3});
  CHECK(Named(Pipelined(ScheduleKind::k1f1b).epilogue[0], "twin_gradients") == nullptr);
}

TEST_CASE("a tied table is reduced between ranks only where no rank holds both ends of the pipeline", "[state]") {
  const auto reduces = [](ScheduleKind kind, std::size_t rank) {
    return Named(Pipelined(kind).epilogue[rank], "tied_embedding_gradient") != nullptr;
  };
  CHECK(reduces(ScheduleKind::k1f1b, 0));
  CHECK(reduces(ScheduleKind::k1f1b, 3));
  CHECK_FALSE(reduces(ScheduleKind::k1f1b, 1));
  CHECK_FALSE(reduces(ScheduleKind::kZbV, 0));
  CHECK_FALSE(reduces(ScheduleKind::kDualPipe, 0));
}

TEST_CASE("post-validation holds no rank up and pays for the steps that it rolls back", "[state]") {
  Strategy s;
  CHECK(Pipelined(ScheduleKind::kZbH1, s).epilogue_barrier);
  s.optimizer_barrier = OptimizerBarrier::kPostValidation;
  s.rollback_share = 0.25;
  const Plan plan = Pipelined(ScheduleKind::kZbH1, s);
  CHECK_FALSE(plan.epilogue_barrier);
  const auto& update = std::get<OptimizerUpdate>(Named(plan.epilogue[1], "optimizer")->kind);
  const auto& rollback = std::get<OptimizerUpdate>(Named(plan.epilogue[1], "optimizer_rollback")->kind);
  CHECK(rollback.parameters == update.parameters);
  CHECK(rollback.bytes_per_parameter == Approx(0.5 * update.bytes_per_parameter));
}

TEST_CASE("balanced experts share rows evenly in every form", "[experts]") {
  MoeSpec moe{.experts = 8, .topk = 2, .ffn = 64};
  Strategy s;
  s.expert = 4;
  const ExpertRows dropless = ExpertRowsOf(moe, s, 1000);
  CHECK(dropless.held == Approx(2000));
  CHECK(dropless.multiplied == Approx(2 * 1024));  // two experts of 1000 rows, each in eight tiles of 128
  CHECK(dropless.imbalance == Approx(1));
  moe.padded = true;
  CHECK(ExpertRowsOf(moe, s, 1000).multiplied == Approx(2000));
  moe.capacity_factor = 1.5;
  CHECK(ExpertRowsOf(moe, s, 1000).multiplied == Approx(3000));
  CHECK(ExpertRowsOf(moe, s, 1000).dropped == Approx(0));
}

TEST_CASE("a token that travels once per rank travels to the distinct ranks among its experts'", "[experts]") {
  MoeSpec moe{.experts = 4, .topk = 2, .ffn = 64};
  Strategy s;
  s.expert = 2;
  CHECK(ExpertRowsOf(moe, s, 600).travelling == Approx(1200));
  s.expert_dispatch = ExpertDispatch::kOncePerRank;
  // Of the six pairs of experts two lie on one rank and four on two.
  CHECK(ExpertRowsOf(moe, s, 600).travelling == Approx(600 * (2 * 1 + 4 * 2) / 6.0));
  CHECK(ExpertRowsOf(moe, s, 600).held == Approx(1200));
  moe.topk = 1;
  CHECK(ExpertRowsOf(moe, s, 600).travelling == Approx(600));
}

TEST_CASE("a skewed load costs a padded form its fullest expert everywhere, and drops what exceeds capacity",
          "[experts]") {
  MoeSpec moe{.experts = 4, .topk = 1, .ffn = 64};
  Strategy s;
  s.expert = 2;
  s.expert_load = {0.5, 0.3, 0.1, 0.1};
  const ExpertRows dropless = ExpertRowsOf(moe, s, 1280);  // 2560 assignments: 1280, 768, 256, 256
  CHECK(dropless.held == Approx(2048));
  CHECK(dropless.imbalance == Approx(1.6));
  CHECK(dropless.fullest == Approx(1280));
  moe.padded = true;
  CHECK(ExpertRowsOf(moe, s, 1280).multiplied == Approx(2 * 1280));
  moe.padded = false;
  moe.capacity_factor = 1;
  CHECK(ExpertRowsOf(moe, s, 1280).multiplied == Approx(2 * 640));
  CHECK(ExpertRowsOf(moe, s, 1280).dropped == Approx((640 + 128) / 2560.0));
}

TEST_CASE("no expert is visited twice by one token", "[experts]") {
  const MoeSpec moe{.experts = 4, .topk = 2, .ffn = 64};
  Strategy s;
  s.expert_load_zipf = 5;
  const std::vector<double> shares = ExpertShares(moe, s);
  CHECK(shares[0] == Approx(0.5));
  double sum = 0;
  for (double share : shares) sum += share;
  CHECK(sum == Approx(1));
}
