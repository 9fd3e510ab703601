#pragma once

#include <algorithm>
#include <initializer_list>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "base/error.h"
#include "executor/supported.h"
#include "plan/scenario_names.h"
#include "plan/stages.h"
#include "plan/strategy.h"
#include "tests/executor/tiny.h"

namespace isochrone::executor {

/// Ranks that share matrices, layers, sequences of the batch, positions and experts.
struct Degrees {
  int tensor, pipeline, data, context, expert;
  int World() const { return tensor * pipeline * data * context; }
};

/// All degrees up to 4 of 2 to 16 ranks.
inline std::vector<Degrees> AllDegrees() {
  std::vector<Degrees> all;
  for (int code = 0; code < 1024; ++code) {
    const auto digit = [&](int place) { return 1 + code / place % 4; };
    const Degrees d{digit(1), digit(4), digit(16), digit(64), digit(256)};
    if (d.World() > 1 && d.World() <= 16 && d.World() / d.pipeline % d.expert == 0) all.push_back(d);
  }
  return all;
}

inline std::string Describe(const Degrees& d) {
  return "tensor " + std::to_string(d.tensor) + " pipeline " + std::to_string(d.pipeline) + " data " +
         std::to_string(d.data) + " context " + std::to_string(d.context) + " expert " + std::to_string(d.expert);
}

/// What kind of model it is, and every key of the strategy that says other than its default.
inline std::string Describe(const plan::Scenario& s) {
  const plan::Model& m = s.model;
  std::string text = !m.pattern.empty() ? "hybrid " + m.pattern : m.moe ? "experts" : "dense";
  text += " " + plan::MlpNames()[static_cast<std::size_t>(m.mlp)] + " " +
          plan::NormNames()[static_cast<std::size_t>(m.normalization)] + " " +
          plan::PositionNames()[static_cast<std::size_t>(m.position)];
  if (m.kv_heads < m.heads) text += " grouped";
  if (m.tied_embeddings) text += " tied";
  if (m.dropout > 0) text += " dropout";
  if (m.window > 0) text += " window of every " + std::to_string(m.window_every);
  if (m.moe) {
    text += " top " + std::to_string(m.moe->topk) + (m.moe->capacity_factor > 0 ? " capacity" : " dropless") +
            (m.moe->shared_experts > 0 ? " shared" : "") + " every " + std::to_string(m.moe->every);
  }
  text += ", " + std::to_string(m.layers) + " layers, " + std::to_string(s.Microbatches()) + " microbatches of " +
          std::to_string(s.batch.microbatch) + ",";
  const plan::Strategy defaults;
  for (const plan::StrategyKey& key : plan::StrategyKeys()) {
    const std::string value = key.show(s.strategy);
    if (key.name == "schedule" ||
        (value != key.show(defaults) && key.name.find("dtype") == std::string::npos && key.name != "precision"))
      text += " " + key.name + " " + value;
  }
  return text;
}

/// Draws scenarios that the CPU runs, on 2 to 16 ranks. Degrees are dealt like cards: those that a schedule can take
/// come again only when all of them have come.
class Draw {
 public:
  explicit Draw(unsigned seed) : random_(seed) {}

  plan::Scenario Of(plan::ScheduleKind schedule, plan::Recompute recompute, plan::Sharding sharding) {
    for (std::vector<Degrees>* deck : {&never_, &again_}) {
      std::shuffle(deck->begin(), deck->end(), random_);
      for (auto card = deck->begin(); card != deck->end(); ++card) {
        const auto s = Try(*card, schedule, recompute, sharding);
        if (!s) continue;
        if (deck == &never_) never_.erase(card);
        return *s;
      }
    }
    throw Error("the draw", "has no degrees for " + plan::NameOf(schedule));
  }

  /// One for each of the degrees that have not come yet.
  std::vector<plan::Scenario> Rest() {
    std::vector<plan::Scenario> rest;
    for (const Degrees& d : never_) {
      std::optional<plan::Scenario> s;
      for (int tries = 0; !s && tries < kTries; ++tries) {
        const auto any = [&](int kinds) { return static_cast<int>(random_() % static_cast<unsigned>(kinds)); };
        s = Try(d, static_cast<plan::ScheduleKind>(any(static_cast<int>(plan::ScheduleKind::kText))),
                static_cast<plan::Recompute>(any(4)), static_cast<plan::Sharding>(any(4)));
      }
      if (!s) throw Error("the draw", "has no schedule for " + Describe(d));
      rest.push_back(*s);
    }
    never_.clear();
    return rest;
  }

 private:
  static constexpr int kTries = 50;

  std::optional<plan::Scenario> Try(const Degrees& d, plan::ScheduleKind schedule, plan::Recompute recompute,
                                    plan::Sharding sharding) {
    if (sharding != plan::Sharding::kNone && d.data * d.context == 1) return {};  // nobody to share with
    for (int tries = 0; tries < kTries; ++tries) {
      plan::Scenario s = With(d, schedule);
      s.strategy.recompute = recompute;
      s.strategy.optimizer_sharding = sharding;
      State(s.strategy);
      if (Legal(s)) return s;
    }
    return {};
  }

  bool Coin() { return random_() % 2 == 1; }
  template <class V>
  V Pick(std::initializer_list<V> all) {
    return all.begin()[random_() % all.size()];
  }

  plan::Scenario With(const Degrees& d, plan::ScheduleKind schedule) {
    plan::Scenario s = Tiny();
    plan::Strategy& y = s.strategy;
    y.tensor = d.tensor;
    y.pipeline = d.pipeline;
    y.data = d.data;
    y.context = d.context;
    y.schedule = schedule;
    y.chunks_per_rank = schedule == plan::ScheduleKind::kInterleaved1f1b ? Pick({2, 2, 3}) : 1;
    y.attention = Pick({plan::AttentionForm::kFlash, plan::AttentionForm::kUnfused});
    y.context_form = Pick({plan::ContextForm::kRing, plan::ContextForm::kAllGather, plan::ContextForm::kUlysses});
    y.sequence_parallel = y.tensor > 1 && Coin();
    Model(s, d);
    Stages(s);
    Forms(y);
    if (s.model.moe) Experts(s, d.expert);
    s.batch.microbatch = Pick({1, 1, 2});
    s.batch.sequences = y.data * s.batch.microbatch * Pick({1, 2, 3, 4, 6, 8, 8});
    return s;
  }

  void Model(plan::Scenario& s, const Degrees& d) {
    plan::Model& m = s.model;
    m.heads = m.kv_heads = d.tensor * d.context == 12 ? 12 : d.tensor == 3 || d.context == 3 ? 6 : 4;
    m.hidden = m.heads * m.head_dim;
    m.ffn = 2 * m.hidden;
    m.sequence = d.tensor * d.context == 9 ? 36 : d.tensor * d.context == 16 ? 32 : 24;
    m.vocabulary = 48;
    if (Coin()) MakeLlama(m);
    m.kv_heads = Pick({m.heads, m.heads / 2});
    m.mlp = Pick({m.mlp, m.mlp, plan::MlpKind::kGeglu, plan::MlpKind::kSquaredRelu});
    m.position = Pick({m.position, m.position, plan::PositionKind::kNone});
    m.tied_embeddings = Coin();
    m.dropout = Pick({0.0, 0.1});
    if (Coin() && Coin()) {
      m.window = 7;
      m.window_every = Pick({1, 2});
    }
    if (d.expert > 1 || (Coin() && Coin())) {
      m.moe = plan::MoeSpec{.experts = d.expert == 3 ? 6 : 4, .topk = Pick({1, 2}), .ffn = 24};
      m.moe->capacity_factor = Pick({0.0, 1.0});
      m.moe->every = Pick({1, 2});
      m.moe->dense_layers = Pick({0, 0, 1});
      m.moe->shared_experts = Pick({0, 1});
      m.moe->shared_ffn = m.moe->shared_experts * m.hidden;
    } else if (d.context == 1 && Coin()) {
      MakeMamba(m);
      m.mamba->groups = static_cast<int>(m.heads);
    }
  }

  /// Layers for every virtual stage, evenly or not.
  void Stages(plan::Scenario& s) {
    plan::Model& m = s.model;
    m.layers = std::max(4, plan::StagesOf(s.strategy)) + Pick({0, 0, 1});
    if (m.mamba) {
      const std::string kinds = "M*-M-MM*";
      m.pattern.clear();
      for (int i = 0; i < m.layers; ++i) m.pattern += kinds[static_cast<std::size_t>(i) % kinds.size()];
    }
    s.strategy.account_embedding_in_split = Coin() && Coin();
    if (plan::StagesOf(s.strategy) > 1 && !s.strategy.account_embedding_in_split)
      s.strategy.first_stage_layers = Pick({0, 0, 1});
  }

  /// Forms that change what the plan says, never what comes out.
  void Forms(plan::Strategy& y) {
    y.fused_gradient_accumulation = Coin() || Coin();
    y.fused_loss = Coin();
    y.fused_kernels = Coin() || Coin();
    y.compiled = Coin() && Coin();
    y.scatter_gather = Coin();
    y.overlap_tensor = Coin();
    y.pipelined_tensor = y.overlap_tensor && Coin();
    y.overlap_pipeline = Coin();
    y.rank_order = Pick({plan::RankOrder::kDataInner, plan::RankOrder::kPipelineInner});
    y.framework = Pick({"megatron_core", "megatron_core", "fsdp", "fsdp2", "megatron_deepspeed"});
  }

  void State(plan::Strategy& y) {
    const int copies = y.data * y.context;
    const bool shards = y.optimizer_sharding != plan::Sharding::kNone;
    y.zero2_reduce_every_microbatch = y.optimizer_sharding == plan::Sharding::kZero2 && Coin();
    if (shards && Coin()) y.shard_group = Pick({copies / 2, copies / 3, 2});
    y.overlap_data = copies > 1 && Coin();
    y.overlap_parameter_gather = shards && Coin();
    if (y.recompute == plan::Recompute::kFull) y.recompute_layers = Pick({0, 0, 1});
  }

  void Experts(plan::Scenario& s, int expert) {
    plan::Strategy& y = s.strategy;
    y.expert = expert;
    y.expert_tensor = Pick({1, 1, 2, 3, 4});
    y.expert_dispatch = Pick({plan::ExpertDispatch::kEveryCopy, plan::ExpertDispatch::kOncePerRank});
    y.overlap_expert = Coin();
    const int load = Pick({0, 1, 2});
    if (load == 1) y.expert_load_zipf = 0.7;
    if (load == 2) {
      y.expert_load.assign(static_cast<std::size_t>(s.model.moe->experts), 0.6 / s.model.moe->experts);
      y.expert_load[0] += 0.3;
      y.expert_load[2] += 0.1;
    }
  }

  /// What `Check` lets pass, and the CPU does not refuse.
  static bool Legal(plan::Scenario s) {
    s.strategy.precision = plan::Dtype::kFp32;  // fp64 is for tests of arithmetic alone
    s.cluster.node.gpu.fp32 = FlopsPerSecond(1);
    try {
      plan::Check(s);
      CheckSupported(s, "the CPU");
    } catch (const Error&) {
      return false;
    }
    return true;
  }

  std::mt19937 random_;
  std::vector<Degrees> never_ = AllDegrees(), again_ = never_;
};

}  // namespace isochrone::executor
