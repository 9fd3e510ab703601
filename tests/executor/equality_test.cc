// Losses, gradients and updated parameters at any degree equal those of one rank.
#include <catch2/catch.hpp>

#include <cstdio>
#include <functional>
#include <random>

#include "plan/stages.h"
#include "tests/executor/tiny.h"

using namespace isochrone;
using namespace isochrone::executor;

namespace {

std::string Describe(const plan::Scenario& s) {
  static const char* const kRecompute[] = {"none", "selective", "selective_op", "full"};
  static const char* const kSharding[] = {"", " zero1", " zero2", " zero3"};
  static const char* const kForm[] = {" ring", " all-gather", " ulysses"};
  const plan::Strategy& y = s.strategy;
  std::string text =
      "tp " + std::to_string(y.tensor) + (y.sequence_parallel ? "+sp" : "") + " pp " + std::to_string(y.pipeline) +
      " dp " + std::to_string(y.data) + " cp " + std::to_string(y.context) +
      (y.context > 1 ? kForm[static_cast<std::size_t>(y.context_form)] : "") + " " + plan::NameOf(y.schedule) +
      " chunks " + std::to_string(y.chunks_per_rank) + " microbatch " + std::to_string(s.batch.microbatch) +
      " recompute " + kRecompute[static_cast<std::size_t>(y.recompute)] +
      kSharding[static_cast<std::size_t>(y.optimizer_sharding)] +
      (y.shard_group > 0 ? " shards of " + std::to_string(y.shard_group) : "") +
      (y.zero2_reduce_every_microbatch ? " each microbatch" : "") + (y.overlap_data ? " buckets" : "") +
      (y.overlap_parameter_gather ? " gathers" : "") + (s.model.tied_embeddings ? " tied" : "") +
      (s.model.dropout > 0 ? " dropout" : "") + (y.attention == plan::AttentionForm::kFlash ? " flash" : " unfused") +
      (y.fused_gradient_accumulation ? "" : " unfused sums") +
      (s.model.mlp == plan::MlpKind::kSwiglu ? " llama" : " gpt");
  if (s.model.moe) {
    text += " experts ep " + std::to_string(y.expert) + " etp " + std::to_string(y.expert_tensor) + " top " +
            std::to_string(s.model.moe->topk) + (s.model.moe->capacity_factor > 0 ? " capacity" : " dropless") +
            (y.expert_load_zipf > 0  ? " zipf"
             : y.expert_load.empty() ? ""
                                     : " shares");
  }
  return text;
}

/// Draws legal scenarios with degrees up to 4, at most 16 ranks.
class Draw {
 public:
  explicit Draw(unsigned seed) : random_(seed) {}

  plan::Scenario Of(plan::ScheduleKind schedule) {
    plan::Scenario s = Tiny();
    Model(s.model);
    plan::Strategy& y = s.strategy;
    y.schedule = schedule;
    y.attention = Pick({plan::AttentionForm::kFlash, plan::AttentionForm::kUnfused});
    y.context_form = Pick({plan::ContextForm::kRing, plan::ContextForm::kAllGather, plan::ContextForm::kUlysses});
    do Degrees(s);
    while (!Legal(s));
    // Keys that travel meet queries in fused kernels, which drop no attention weights.
    if (y.context > 1 && y.context_form != plan::ContextForm::kUlysses) y.attention = plan::AttentionForm::kFlash;
    y.sequence_parallel = y.tensor > 1 && Coin();
    y.recompute = Pick(
        {plan::Recompute::kNone, plan::Recompute::kSelective, plan::Recompute::kSelectiveOp, plan::Recompute::kFull});
    y.fused_gradient_accumulation = Coin() || Coin();
    State(y);
    if (s.model.moe) Experts(s);
    s.batch.sequences = 16;
    s.batch.microbatch = y.data < 4 && schedule != plan::ScheduleKind::kDualPipe ? Pick({1, 2}) : 1;
    return s;
  }

 private:
  bool Coin() { return random_() % 2 == 1; }
  template <class V>
  V Pick(std::initializer_list<V> all) {
    return all.begin()[random_() % all.size()];
  }

  void Model(plan::Model& m) {
    m.sequence = 16;
    if (Coin()) MakeLlama(m);
    m.tied_embeddings = Coin();
    m.dropout = Pick({0.0, 0.1});
    if (Coin()) return;
    m.moe = plan::MoeSpec{.experts = 4, .topk = Pick({1, 2}), .ffn = 16};
    if (Coin()) m.moe->capacity_factor = 1.0;
    if (Coin()) m.moe->every = 2;
    if (Coin()) {
      m.moe->shared_experts = 1;
      m.moe->shared_ffn = 32;
    }
  }

  void Degrees(plan::Scenario& s) {
    plan::Strategy& y = s.strategy;
    y.tensor = Pick({1, 1, 2, s.model.kv_heads == 4 ? 4 : 2});
    y.pipeline = Pick({1, 2, 4});
    y.data = Pick({1, 2, 4});
    y.context = Pick({1, 1, 2, 4});
    y.chunks_per_rank = 1;
    if (y.schedule == plan::ScheduleKind::kInterleaved1f1b) {
      y.pipeline = 2;
      y.chunks_per_rank = 2;
    } else if (y.schedule == plan::ScheduleKind::kDualPipe) {
      y.pipeline = Pick({2, 4});
    } else if (plan::StagesOf(y) > y.pipeline) {  // two chunks, four layers
      y.pipeline = 2;
    }
  }

  static bool Legal(const plan::Scenario& s) {
    const plan::Strategy& y = s.strategy;
    const int world = y.tensor * y.pipeline * y.data * y.context;
    const bool heads = y.context_form != plan::ContextForm::kUlysses || s.model.kv_heads % (y.tensor * y.context) == 0;
    const bool both_ways = y.schedule != plan::ScheduleKind::kDualPipe || 16 / y.data >= 2 * y.pipeline;
    return world > 1 && world <= 16 && heads && both_ways;
  }

  void State(plan::Strategy& y) {
    y.optimizer_sharding =
        Pick({plan::Sharding::kNone, plan::Sharding::kZero1, plan::Sharding::kZero2, plan::Sharding::kZero3});
    const bool copies = y.data * y.context > 1, shards = y.optimizer_sharding != plan::Sharding::kNone;
    y.zero2_reduce_every_microbatch = y.optimizer_sharding == plan::Sharding::kZero2 && Coin();
    if (shards && y.data > 1 && y.context == 1 && Coin()) y.shard_group = y.data / 2;
    y.overlap_data = copies && Coin();
    y.overlap_parameter_gather = shards && copies && Coin();
  }

  void Experts(plan::Scenario& s) {
    plan::Strategy& y = s.strategy;
    const int stage = y.tensor * y.data * y.context;
    do {
      y.expert = Pick({1, 2, 4});
      y.expert_tensor = Pick({1, 1, 2});
    } while (stage % (y.expert * y.expert_tensor) != 0);
    const int load = Pick({0, 1, 2});
    if (load == 1) y.expert_load_zipf = 0.7;
    if (load == 2) y.expert_load = {0.4, 0.1, 0.2, 0.3};
  }

  std::mt19937 random_;
};

void CheckCombinations(unsigned seed, int per_schedule) {
  Draw draw(seed);
  int combinations = 0;
  for (const plan::ScheduleKind schedule :
       {plan::ScheduleKind::kGpipe, plan::ScheduleKind::k1f1b, plan::ScheduleKind::kInterleaved1f1b,
        plan::ScheduleKind::kZbH1, plan::ScheduleKind::kZbH2, plan::ScheduleKind::kZbV, plan::ScheduleKind::kVHalf,
        plan::ScheduleKind::kVMin, plan::ScheduleKind::kDualPipe, plan::ScheduleKind::kDualPipeV,
        plan::ScheduleKind::kZbAuto1p, plan::ScheduleKind::kZbAuto2p}) {
    for (int i = 0; i < per_schedule; ++i) {
      const plan::Scenario s = draw.Of(schedule);
      INFO(Describe(s));
      std::printf("equal to one rank: %s\n", Describe(s).c_str());
      CheckEqual(RunTiny<double>(s), RunTiny<double>(OneRank(s)), 1e-10, 1e-8);
      ++combinations;
    }
  }
  std::printf("%d combinations\n", combinations);
}

}  // namespace

TEST_CASE("at any degree, schedule, recomputation and sharding the losses, gradients and parameters are one rank's",
          "[executor]") {
  CheckCombinations(11, 4);
}

TEST_CASE("at many more degrees, schedules, recomputations and shardings they are one rank's", "[.slow][executor]") {
  CheckCombinations(12, 20);
}

TEST_CASE("whatever framework gathers and reduces a layer, shards train as one rank does", "[executor]") {
  for (const char* framework : {"megatron_core", "fsdp", "fsdp2", "megatron_deepspeed"}) {
    for (const plan::Sharding sharding : {plan::Sharding::kZero2, plan::Sharding::kZero3}) {
      plan::Scenario s = Tiny();
      s.strategy.framework = framework;
      s.strategy.data = 4;
      s.strategy.shard_group = 2;
      s.strategy.optimizer_sharding = sharding;
      s.strategy.gradient_reduce_dtype = plan::Dtype::kFp64;
      s.strategy.precision = plan::Dtype::kBf16;  // of the plan: gradients are copied to the format that travels
      INFO(framework << " " << Describe(s));
      CheckEqual(RunTiny<double>(s), RunTiny<double>(OneRank(s)), 1e-10, 1e-8);
    }
  }
}

TEST_CASE("in single precision gradients agree to 1e-4", "[executor]") {
  plan::Scenario s = Tiny();
  s.strategy.precision = plan::Dtype::kFp32;
  s.strategy.gradient_dtype = s.strategy.gradient_reduce_dtype = plan::Dtype::kFp32;
  s.strategy.tensor = s.strategy.pipeline = s.strategy.data = 2;
  s.strategy.sequence_parallel = true;
  const RunResult many = RunTiny<float>(s, 1), one = RunTiny<float>(OneRank(s), 1);
  for (const auto& [key, value] : one.gradients) {
    INFO(key);
    CHECK(Distance(many.gradients.at(key), value, 1e-3) <= 1e-4);
  }
}

TEST_CASE("a step changes the loss by what the gradients before and after it say", "[executor]") {
  for (const auto change : {+[](plan::Model&) {}, MakeLlama, MakeMamba}) {
    plan::Scenario s = Tiny();
    change(s.model);
    const plan::Plan plan = plan::BuildPlan(s);
    RunOptions options = TinyOptions(s, 1);
    options.tokens = [&s](std::int64_t, std::int64_t sequence, std::span<std::int32_t> tokens) {
      RandomTokens(3, s.model.vocabulary)(0, sequence, tokens);  // the same text at every step
    };
    options.adam.learning_rate = 0;
    const RunResult before = Run<double>(s, plan, options);
    options.adam.learning_rate = 1e-5;
    const RunResult after = Run<double>(s, plan, options);
    options.steps = 2;
    const RunResult second = Run<double>(s, plan, options);
    // L(w1) - L(w0) = (g0 + g1) / 2 . (w1 - w0) + O(|w1 - w0|^3)
    double expected = 0;
    for (const auto& [key, w1] : after.parameters) {
      const std::vector<double>&w0 = before.parameters.at(key), &g0 = before.gradients.at(key),
            &g1 = second.gradients.at(key);
      for (std::size_t i = 0; i < w1.size(); ++i) expected += (g0[i] + g1[i]) / 2 * (w1[i] - w0[i]);
    }
    CHECK(second.losses[1] - second.losses[0] == Approx(expected).epsilon(1e-4));
    CHECK(expected < -1e-5);
  }
}

TEST_CASE("Mamba-2 layers are one rank's at any degree, schedule, recomputation and sharding", "[executor]") {
  plan::Scenario whole = Tiny();
  MakeMamba(whole.model);
  const RunResult one = RunTiny<double>(whole);
  const std::vector<std::function<void(plan::Strategy&)>> changes = {
      [](plan::Strategy& y) { y.tensor = 2; },
      [](plan::Strategy& y) {
        y.tensor = 4;
        y.sequence_parallel = true;
      },
      [](plan::Strategy& y) {
        y.pipeline = 4;
        y.schedule = plan::ScheduleKind::kZbH1;
      },
      [](plan::Strategy& y) {
        y.tensor = y.pipeline = y.data = 2;
        y.sequence_parallel = true;
        y.optimizer_sharding = plan::Sharding::kZero1;
        y.recompute = plan::Recompute::kFull;
      },
      [](plan::Strategy& y) {
        y.pipeline = y.data = 2;
        y.schedule = plan::ScheduleKind::kZbV;
        y.chunks_per_rank = 2;
        y.optimizer_sharding = plan::Sharding::kZero2;
      },
      [](plan::Strategy& y) {
        y.data = 4;
        y.optimizer_sharding = plan::Sharding::kZero3;
        y.recompute = plan::Recompute::kSelective;
      },
  };
  for (const auto& change : changes) {
    plan::Scenario s = whole;
    change(s.strategy);
    INFO(Describe(s));
    CheckEqual(RunTiny<double>(s), one, 1e-10, 1e-8);
  }
}
