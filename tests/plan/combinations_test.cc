// A walk over settings of the strategy, taken at random over small models of every kind of layer: what cannot be is
// refused with a setting that can, and what is accepted is a plan that holds together.
#include <catch2/catch.hpp>

#include <cmath>
#include <random>
#include <regex>
#include <set>

#include "base/error.h"
#include "plan/build.h"
#include "plan/memory.h"
#include "plan/parameters.h"
#include "plan/plan_text.h"
#include "plan/program_validate.h"
#include "plan/scenario_check.h"
#include "plan/scenario_names.h"
#include "plan/strategy.h"
#include "tests/plan/small_models.h"

using namespace isochrone;
using namespace isochrone::plan;
using isochrone::tests::Models;

namespace {

constexpr int kDraws = 1500;

class Walk {
 public:
  explicit Walk(unsigned seed) : random_(seed) {
    cluster_.node = ReadNode("hardware/dgx_h100.json");
    cluster_.nodes = 64;
    models_.emplace_back("speech", tests::Speech());
  }

  Scenario Draw() {
    Scenario s;
    s.file = "s.json";
    s.model = OneOf(models_).second;
    s.cluster = cluster_;
    s.batch.microbatch = OneOf<int>({1, 1, 2});
    s.batch.sequences = OneOf<int>({8, 12, 16, 24, 32});
    for (const auto& [key, values] : Choices()) SetStrategy(key, OneOf(values), s.strategy);
    return s;
  }

 private:
  template <class T>
  const T& OneOf(const std::vector<T>& values) {
    return values[std::uniform_int_distribution<std::size_t>(0, values.size() - 1)(random_)];
  }

  /// The likely value of a key comes several times, so that faults do not all come at once.
  static const std::vector<std::pair<std::string, std::vector<std::string>>>& Choices() {
    static const std::vector<std::string> switches = {"false", "true"};
    static const std::vector<std::pair<std::string, std::vector<std::string>>> choices = {
        {"tensor", {"1", "2", "2", "3", "4"}},
        {"pipeline", {"1", "2", "2", "3", "4", "9"}},
        {"data", {"1", "2", "4", "5"}},
        {"context", {"1", "1", "2", "4"}},
        {"expert", {"1", "1", "1", "2", "3"}},
        {"expert_tensor", {"1", "1", "1", "2"}},
        {"rank_order", RankOrderNames()},
        {"schedule",
         {"gpipe", "1f1b", "1f1b", "interleaved_1f1b", "zb_h1", "zb_h2", "zb_v", "v_half", "v_min", "dualpipe",
          "dualpipe_v", "zb_1p", "zb_2p"}},
        {"chunks_per_rank", {"1", "1", "1", "2", "3"}},
        {"first_stage_layers", {"0", "0", "0", "1", "3", "9"}},
        {"account_embedding_in_split", {"false", "false", "true"}},
        {"scatter_gather", switches},
        {"sequence_parallel", switches},
        {"context_form", ContextFormNames()},
        {"overlap_tensor", switches},
        {"overlap_data", switches},
        {"overlap_parameter_gather", switches},
        {"recompute", RecomputeNames()},
        {"recompute_layers", {"0", "0", "0", "1"}},
        {"optimizer_sharding", ShardingNames()},
        {"shard_group", {"0", "0", "0", "2", "3"}},
        {"zero2_reduce_every_microbatch", switches},
        {"offload_optimizer", {"none", "none", "host", "nvme"}},
        {"offload_parameters", {"none", "none", "host", "nvme"}},
        {"offload_gradients", {"none", "none", "none", "host"}},
        {"offload_activations", {"none", "none", "none", "host"}},
        {"precision", {"bf16", "bf16", "fp16", "fp32", "fp8", "mxfp8"}},
        {"attention", {"flash", "flash", "unfused"}},
        {"optimizer", {"adam", "adam", "adam8bit", "galore_adam", "sgd"}},
        {"moment_dtype", {"fp32", "fp32", "bf16"}},
        {"optimizer_barrier", {"global_norm", "global_norm", "post_validation"}},
        {"galore_rank", {"0", "16", "16"}},
        {"fused_gradient_accumulation", switches}};
    return choices;
  }

  std::mt19937 random_;
  std::vector<std::pair<const char*, Model>> models_ = Models();
  Cluster cluster_;
};

/// What an error tells a reader to try first: a key, its own where it names no other, and a value.
Remedy FirstRemedy(const Error& error) {
  static const std::regex place("/(?:strategy|batch)/([a-z0-9_]+) = ");
  static const std::regex remedy("^(?:try|use) (?:at most )?(?:([a-z0-9_]+) = )?([a-z0-9_]+)");
  std::smatch at, to;
  INFO(error.what());
  REQUIRE(std::regex_search(error.where, at, place));
  REQUIRE(std::regex_search(error.instead, to, remedy));
  return {to[1].matched ? to[1].str() : at[1].str(), to[2].str()};
}

/// Follows the errors' own advice until the scenario passes; how often it had to.
int Followed(Scenario& s) {
  constexpr int kMost = 30;
  for (int steps = 0; steps < kMost; ++steps) {
    try {
      Check(s);
      return steps;
    } catch (const Error& error) {
      INFO(error.what());
      const Remedy remedy = FirstRemedy(error);
      if (remedy.key == "sequences") s.batch.sequences = std::stoll(remedy.value);
      else if (remedy.key == "microbatch") s.batch.microbatch = std::stoll(remedy.value);
      else SetStrategy(remedy.key, remedy.value, s.strategy);
    }
  }
  FAIL("advice leads nowhere");
  return kMost;
}

std::string Described(const Scenario& s) {
  std::string text = s.model.pattern + " sequences " + std::to_string(s.batch.sequences) + " microbatch " +
                     std::to_string(s.batch.microbatch);
  for (const StrategyKey& key : StrategyKeys()) text += "\n" + key.name + " = " + key.show(s.strategy);
  return text;
}

/// Multiply-adds of attention in one microbatch's forward pass through the whole model, by what the plan's ops do.
double AttentionFlops(const Plan& plan) {
  double sum = 0;
  for (const StageContent& stage : plan.stages) {
    for (const Section& section : stage.sections) {
      const LayerProgram& p = plan.programs[static_cast<std::size_t>(section.program)];
      for (const Op& op : p.Ops(Phase::kForward)) {
        const auto* gemm = std::get_if<Gemm>(&op.kind);
        const bool unfused = gemm && (gemm->role == GemmRole::kScores || gemm->role == GemmRole::kContext);
        if (unfused || std::holds_alternative<Attention>(op.kind))
          sum += section.count * MatrixFlopsOf(op, false).value;
      }
    }
  }
  return sum * plan.layout.tp * plan.layout.cp;
}

/// The same from the model alone: the closed form counts attention masked, the unfused form multiplies every key.
double AttentionOf(const Model& model, bool masked) {
  Model without = model;
  without.sequence = 1;  // one key to see
  const double own = ModelFlops(model, 1, masked ? AttentionCount::kMasked : AttentionCount::kFull).value;
  const double positions = static_cast<double>(model.sequence);
  const double rest = positions * ModelFlops(without, 1, AttentionCount::kFull).value;
  const double heads =
      static_cast<double>(model.mla ? model.heads * (model.mla->qk_nope + model.mla->qk_rope + model.mla->v)
                                    : 2 * model.heads * model.head_dim);
  double layers = 0;
  for (int i = 0; i < model.layers; ++i)
    layers += model.pattern.empty() || model.pattern[static_cast<std::size_t>(i)] == '*';
  const double single = 2 * heads * positions * (layers + model.mtp_layers);  // the one key that `rest` counts
  return (own - rest) / 3 + single;
}

void CheckState(const Scenario& s, const Plan& plan) {
  for (int rank = 0; rank < plan.schedule.placement.ranks; ++rank) {
    const std::vector<Bytes> over_time = MemoryByTask(s, plan, rank);
    const StageMemory memory = MemoryOf(s, plan)[static_cast<std::size_t>(rank)];
    const double state = over_time.back().value;
    double most = 0;
    for (const Bytes& bytes : over_time) {
      REQUIRE(bytes.value >= state * (1 - 1e-12));  // activations never negative, none left at the end
      most = std::max(most, bytes.value);
    }
    REQUIRE(most <= memory.Total().value * (1 + 1e-12));
  }
}

}  // namespace

TEST_CASE("any combination is a plan that holds together, or is refused with one that is", "[combinations]") {
  Walk walk(20261122);
  int refused = 0, moved = 0;
  std::set<ScheduleKind> schedules;
  for (int draw = 0; draw < kDraws; ++draw) {
    Scenario s = walk.Draw();
    INFO("draw " << draw << "\n" << Described(s));
    const int steps = Followed(s);
    refused += steps > 0;
    moved += steps;
    INFO("became\n" << Described(s));
    const Plan plan = BuildPlan(s);
    schedules.insert(plan.schedule.kind);
    for (const LayerProgram& p : plan.programs) REQUIRE_NOTHROW(Validate(p));
    REQUIRE_NOTHROW(Validate(plan.schedule));
    CheckState(s, plan);
    REQUIRE((ParsePlan(Print(plan), "text") == plan));
    const bool flash = s.strategy.attention == AttentionForm::kFlash;
    const bool fullest =
        s.model.window > 0 && s.strategy.context > 1 && s.strategy.context_form == ContextForm::kAllGather;
    if (fullest || s.model.speech)
      continue;  // the ranks whose windows are all full are priced: at most S w / (S w - w w / 2) too many
    REQUIRE(AttentionFlops(plan) / static_cast<double>(s.batch.microbatch) ==
            Approx(AttentionOf(s.model, flash)).epsilon(0.02));
  }
  CHECK(schedules.size() == 12);
  CAPTURE(refused, moved);
  CHECK(refused > kDraws / 2);
  CHECK(refused < kDraws);
}
