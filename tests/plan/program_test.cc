// Every kind of layer, at every degree and form that fits: its program runs, holds the parameters that the closed form
// counts, and does the work that the closed form counts.
#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <vector>

#include "plan/build.h"
#include "plan/layers/layers.h"
#include "plan/memory.h"
#include "plan/parameters.h"
#include "plan/program_validate.h"
#include "tests/plan/small_models.h"

using namespace isochrone;
using namespace isochrone::plan;
using namespace isochrone::tests;

namespace {

Scenario Of(const Model& model, const Strategy& strategy) {
  Scenario s;
  s.model = model;
  s.strategy = strategy;
  s.cluster.node.gpus = s.cluster.node.domain_gpus = 64;
  s.batch = {.sequences = strategy.data, .microbatch = 1};
  return s;
}

Strategy Degrees(int tp, bool sequence_parallel, int cp, int ep, int etp) {
  Strategy s;
  s.tensor = tp;
  s.sequence_parallel = sequence_parallel;
  s.context = cp;
  s.expert = ep;
  s.expert_tensor = etp;
  s.data = 8;
  return s;
}

/// Parameters of the whole model, added up over the shards of one pipeline rank.
double Held(const Scenario& s, const Blocks& blocks) {
  double sum = 0;
  for (const StageContent& stage : blocks.stages) {
    for (const Section& section : stage.sections) {
      for (const Buffer& b : blocks.programs[static_cast<std::size_t>(section.program)].buffers) {
        if (b.kind != BufferKind::kParameter || b.borrowed) continue;
        const double copies = b.expert              ? s.strategy.expert * s.strategy.expert_tensor
                              : b.sharded_axis >= 0 ? s.strategy.tensor
                                                    : 1;
        sum += section.count * b.Elements() * copies;
      }
    }
  }
  return sum;
}

}  // namespace

TEST_CASE("dropout draws its numbers going forward, and again where a layer is recomputed", "[program]") {
  Model model = Small();
  model.dropout = 0.1;
  Strategy strategy = Degrees(1, false, 1, 1, 1);
  strategy.attention = AttentionForm::kUnfused;
  strategy.recompute = Recompute::kFull;
  const Scenario scenario = Of(model, strategy);
  const ProgramTable table = BuildPrograms(scenario);
  const LayerProgram& layer = table.programs[static_cast<std::size_t>(table.layer.front()[0])];
  const auto draws = [&](Phase phase) {
    return std::count_if(layer.Ops(phase).begin(), layer.Ops(phase).end(), [](const Op& op) {
      const auto* e = std::get_if<Elementwise>(&op.kind);
      return e && e->draws;
    });
  };
  CHECK(draws(Phase::kForward) == 3);  // attention's probabilities and both branches
  CHECK(draws(Phase::kRecompute) == draws(Phase::kForward));
  CHECK(draws(Phase::kBackward) == 0);
}

TEST_CASE("every layer's program runs, and holds the parameters of the closed form, at any degree", "[program]") {
  for (const auto& [name, model] : Models()) {
    for (int tp : {1, 2, 4}) {
      for (bool sequence_parallel : {false, true}) {
        for (int cp : {1, 2}) {
          for (int ep : {1, 4}) {
            for (int etp : {1, 2}) {
              if (!model.moe && ep * etp > 1) continue;
              if (model.mamba && cp > 1) continue;
              for (Recompute recompute :
                   {Recompute::kNone, Recompute::kSelective, Recompute::kSelectiveOp, Recompute::kFull}) {
                Strategy strategy = Degrees(tp, sequence_parallel, cp, ep, etp);
                strategy.recompute = recompute;
                const Scenario s = Of(model, strategy);
                const Blocks blocks = BuildBlocks(s);
                INFO(name << " tp " << tp << " sp " << sequence_parallel << " cp " << cp << " ep " << ep << " etp "
                          << etp << " recompute " << static_cast<int>(recompute));
                for (const LayerProgram& p : blocks.programs) REQUIRE_NOTHROW(Validate(p));
                CHECK(Held(s, blocks) == Approx(ParametersOf(model).Total()).epsilon(1e-12));
              }
            }
          }
        }
      }
    }
  }
}

TEST_CASE("context forms and attention forms all run", "[program]") {
  for (ContextForm form : {ContextForm::kRing, ContextForm::kAllGather, ContextForm::kUlysses}) {
    for (int cp : {2, 4}) {
      for (const auto& [name, model] : Models()) {
        if (model.mamba) continue;
        Strategy strategy = Degrees(2, true, cp, 1, 1);
        strategy.context_form = form;
        for (const LayerProgram& p : BuildBlocks(Of(model, strategy)).programs) {
          INFO(name << " form " << static_cast<int>(form) << " cp " << cp << " " << p.name);
          CHECK_NOTHROW(Validate(p));
        }
      }
    }
  }
}

TEST_CASE("programs do the model's work, however it is spread", "[program]") {
  for (const auto& [name, model] : Models()) {
    for (int tp : {1, 4}) {
      for (int cp : {1, 4}) {
        for (ContextForm form : {ContextForm::kRing, ContextForm::kAllGather, ContextForm::kUlysses}) {
          if (model.mamba && cp > 1) continue;
          Strategy strategy = Degrees(tp, true, cp, model.moe ? 2 : 1, 1);
          strategy.context_form = form;
          const Scenario s = Of(model, strategy);
          const Blocks blocks = BuildBlocks(s);
          double flops = 0;
          for (const Section& section : blocks.stages.front().sections) {
            flops += section.count * blocks.programs[static_cast<std::size_t>(section.program)].model_flops.value;
          }
          const double whole = ModelFlops(model, 1, AttentionCount::kFull).value;
          INFO(name << " tp " << tp << " cp " << cp << " form " << static_cast<int>(form));
          CHECK(flops * tp * cp == Approx(whole).epsilon(1e-9));
        }
      }
    }
  }
}

TEST_CASE("a program that cannot run is refused with the op", "[program]") {
  LayerContext context;
  const Model model = Small();
  const Strategy strategy;
  context.model = &model;
  context.strategy = &strategy;
  context.positions = model.sequence;
  const LayerProgram good = TransformerLayer(context);
  CHECK_NOTHROW(Validate(good));

  LayerProgram swapped = good;
  std::swap(swapped.Ops(Phase::kForward)[0], swapped.Ops(Phase::kForward)[1]);
  CHECK_THROWS_WITH(Validate(swapped), Catch::Contains("qkv reads attention_norm before it is written"));

  LayerProgram forgotten = good;
  for (Buffer& b : forgotten.buffers) {
    if (b.name == "qkv") b.lifetime = Lifetime::kTask;
  }
  CHECK_THROWS_WITH(Validate(forgotten), Catch::Contains("reads qkv before it is written"));

  LayerProgram unlearned = good;
  auto& backward = unlearned.Ops(Phase::kBackward);
  auto& weight = unlearned.Ops(Phase::kBackwardWeight);
  const auto is_qkv = [](const Op& op) { return op.name == "qkv"; };
  weight.erase(std::remove_if(weight.begin(), weight.end(), is_qkv), weight.end());
  backward.erase(std::find_if(backward.begin(), backward.end(), [](const Op& op) {
    return op.name == "qkv" && std::get<Gemm>(op.kind).role == GemmRole::kLinearGradWeight;
  }));
  CHECK_THROWS_WITH(Validate(unlearned), Catch::Contains("does not give every parameter one gradient"));

  LayerProgram hoarding = good;
  for (Buffer& b : hoarding.buffers) {
    if (b.name == "mlp_add") b.lifetime = Lifetime::kMicrobatch;
  }
  CHECK_THROWS_WITH(Validate(hoarding), Catch::Contains("never reads mlp_add"));
}
