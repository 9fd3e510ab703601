// Deep Speech 2's layers: sizes, parameters and work as the paper and the closed form count them.
#include <catch2/catch.hpp>

#include "plan/build.h"
#include "plan/parameters.h"
#include "plan/plan_text.h"
#include "plan/program_validate.h"
#include "tests/plan/small_models.h"

using namespace isochrone;
using namespace isochrone::plan;

namespace {

Scenario Of(const Model& model) {
  Scenario s;
  s.file = "s.json";
  s.model = model;
  s.cluster.node = ReadNode("hardware/titan_x_node.json");
  s.batch = {.sequences = 8, .microbatch = 4};
  s.strategy.precision = Dtype::kFp32;
  return s;
}

double Summed(const Plan& plan, double LayerProgram::*part) {
  double sum = 0;
  for (const Section& s : plan.stages.front().sections)
    sum += s.count * plan.programs[static_cast<std::size_t>(s.program)].*part;
  return sum;
}

double FlopsOf(const Plan& plan) {
  double sum = 0;
  for (const Section& s : plan.stages.front().sections)
    sum += s.count * plan.programs[static_cast<std::size_t>(s.program)].model_flops.value;
  return sum;
}

}  // namespace

TEST_CASE("nine layers, seven of them recurrent with 1280 units, have the paper's 38 million parameters", "[speech]") {
  Model m = ReadModel("models/deep_speech_2_7x1760.json");
  m.hidden = 1280;
  CHECK(m.layers == 9);
  CHECK(ParametersOf(m).Total() == Approx(38e6).epsilon(0.02));
}

TEST_CASE("speech programs run, and hold and do what the closed form counts, for every cell and direction",
          "[speech]") {
  for (RecurrentKind cell : {RecurrentKind::kRnn, RecurrentKind::kGru, RecurrentKind::kLstm}) {
    for (bool bidirectional : {false, true}) {
      for (int future : {0, 3}) {
        for (Recompute recompute : {Recompute::kNone, Recompute::kFull}) {
          Model m = tests::Speech();
          m.speech->cell = cell;
          m.speech->bidirectional = bidirectional;
          m.speech->future_frames = future;
          m.layers = 2 + 3 + (future > 0) + 1;
          Scenario s = Of(m);
          s.strategy.recompute = recompute;
          const Plan plan = BuildPlan(s);
          for (const LayerProgram& p : plan.programs) REQUIRE_NOTHROW(Validate(p));
          CHECK(Summed(plan, &LayerProgram::parameters) == Approx(ParametersOf(m).Total()).epsilon(1e-12));
          CHECK(FlopsOf(plan) == Approx(ModelFlops(m, 4, AttentionCount::kFull).value).epsilon(1e-3));
          CHECK((ParsePlan(Print(plan), "text") == plan));
        }
      }
    }
  }
}

TEST_CASE("recurrent layers run step by step over the frames that the convolutions leave", "[speech]") {
  const Plan plan = BuildPlan(Of(tests::Speech()));
  const auto& ops = plan.programs[static_cast<std::size_t>(plan.stages[0].sections[4].program)].Ops(Phase::kForward);
  const auto* recurrence = std::get_if<Recurrent>(&ops[2].kind);
  REQUIRE(recurrence);
  CHECK(recurrence->steps == 25);  // 100 frames, strides of 2 and 2
  CHECK(recurrence->batch == 4);
  CHECK(recurrence->bidirectional);
}
