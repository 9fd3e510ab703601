#include "study/predict.h"

#include <algorithm>
#include <filesystem>

#include <catch2/catch.hpp>

#include "plan/build.h"
#include "study/interval.h"
#include "study/pricing.h"
#include "study/score.h"
#include "study/terms/estimate.h"

using namespace isochrone;
using namespace isochrone::study;

namespace {

std::vector<plan::Scenario> Published() {
  std::vector<plan::Scenario> all;
  for (const Row& row : PublishedRows()) all.push_back(*row.scenario);
  return all;
}

}  // namespace

TEST_CASE("every instant of a published run is attributed: the parts sum to the step", "[predict]") {
  const std::vector<plan::Scenario> published = Published();
  REQUIRE(published.size() >= 8);
  for (const plan::Scenario& scenario : published) {
    INFO(scenario.file);
    const plan::Metrics m = Predict(scenario).metrics;
    CHECK(m.attribution.Sum() / m.step_time == Approx(1).epsilon(1e-9));
    CHECK(m.attribution.bubble.value >= -1e-9 * m.step_time.value);
    CHECK(m.low < m.step_time);
    CHECK(m.step_time < m.high);
  }
}

TEST_CASE("the terms that explain an op add up to its time", "[predict]") {
  for (const plan::Scenario& scenario : Published()) {
    const Prediction p = Predict(scenario);
    const costmodel::Costs costs = CostsOf(scenario);
    for (const OperationLine& line : p.operations) {
      INFO(scenario.file << " " << line.program << "." << line.name);
      double sum = 0;
      for (const costmodel::Term& term : costs.Explain(*line.op)) {
        sum += term.time.value;
        CHECK(!term.formula.empty());
        CHECK(!term.source.text.empty());
      }
      CHECK(sum == Approx(line.seconds).epsilon(1e-9).margin(1e-15));
    }
  }
}

TEST_CASE("an interval is as wide as the framework's profile says of experts, unfused attention, or neither",
          "[predict]") {
  plan::Scenario scenario = plan::ReadScenario("examples/llama3_8b_on_8_h100.json");
  const auto profile = costmodel::FrameworkOf(scenario.strategy.framework, scenario.cluster.node.gpu, false,
                                              scenario.strategy.optimizer_sharding);
  REQUIRE(profile.name == "megatron_core");
  const auto width = [&] { return IntervalOf(scenario, Seconds(1)).high.value - 1; };
  CHECK(width() == Approx(profile.spread));
  scenario.strategy.attention = plan::AttentionForm::kUnfused;
  CHECK(width() == Approx(profile.unfused_spread));
  scenario.model.moe = plan::MoeSpec{};
  CHECK(width() == Approx(profile.expert_spread));
  CHECK(profile.spread < profile.unfused_spread);
  CHECK(profile.unfused_spread < profile.expert_spread);
}

TEST_CASE("a prediction repeats itself to the last bit", "[predict]") {
  const plan::Scenario scenario = plan::ReadScenario("published/korthikanti_175b_full.json");
  const plan::Metrics a = Predict(scenario).metrics, b = Predict(scenario).metrics;
  CHECK(a.step_time == b.step_time);
  CHECK(a.attribution.Sum() == b.attribution.Sum());
}

TEST_CASE("an update that waits for nobody shortens a zero-bubble step, to no less than its busiest rank's work",
          "[predict]") {
  plan::Scenario scenario = plan::ReadScenario("published/korthikanti_175b_selective.json");
  scenario.strategy.schedule = plan::ScheduleKind::kZbH2;
  scenario.strategy.chunks_per_rank = 1;
  scenario.model.tied_embeddings = false;  // a tied table would hold the two ends together
  const plan::Metrics waits = Predict(scenario).metrics;
  scenario.strategy.optimizer_barrier = plan::OptimizerBarrier::kPostValidation;
  const plan::Metrics validates = Predict(scenario).metrics;
  CHECK(validates.step_time < waits.step_time);
  CHECK(validates.attribution.bubble.value >= -1e-9);
  CHECK(validates.attribution.Sum() / validates.step_time == Approx(1).epsilon(1e-9));
  scenario.strategy.rollback_share = 1;
  CHECK(Predict(scenario).metrics.step_time > validates.step_time);
}

TEST_CASE("the closed form prices both ways to wait for the gradient norm", "[predict]") {
  for (int kind = 0; kind < static_cast<int>(plan::ScheduleKind::kText); ++kind) {
    plan::Scenario s = plan::ReadScenario("published/korthikanti_175b_selective.json");
    s.strategy.schedule = static_cast<plan::ScheduleKind>(kind);
    s.strategy.chunks_per_rank = s.strategy.schedule == plan::ScheduleKind::kInterleaved1f1b ? 3 : 1;
    s.model.tied_embeddings = false;
    for (const auto barrier : {plan::OptimizerBarrier::kGlobalNorm, plan::OptimizerBarrier::kPostValidation}) {
      s.strategy.optimizer_barrier = barrier;
      const double estimate = Predict(s, {.fidelity = Fidelity::kAnalytic}).metrics.step_time.value;
      INFO(plan::NameOf(s.strategy.schedule) << ", barrier " << static_cast<int>(barrier));
      CHECK(estimate == Approx(Predict(s).metrics.step_time.value).epsilon(0.01));
    }
  }
}

TEST_CASE("twice the batch takes less than twice the time, and all of the bubble is paid once", "[predict]") {
  plan::Scenario scenario = plan::ReadScenario("published/korthikanti_175b_full.json");
  const plan::Metrics once = Predict(scenario).metrics;
  scenario.batch.sequences *= 2;
  const plan::Metrics twice = Predict(scenario).metrics;
  CHECK(twice.step_time < 2 * once.step_time);
  CHECK(twice.bubble_over_ideal < once.bubble_over_ideal);
}

TEST_CASE("the eight runs of 2205.05198 Table 5 come out within ten percent on average and without a fit to them",
          "[predict]") {
  double sum = 0;
  int rows = 0;
  for (const ScoredRow& row : ScoreRows(PublishedRows(), nullptr).rows) {
    if (row.id.rfind("korthikanti_", 0) != 0) continue;
    CHECK(row.role == "held_out");
    sum += std::abs(row.Error());
    ++rows;
  }
  REQUIRE(rows == 8);
  CHECK(sum / rows <= 0.10);
}

TEST_CASE("every schedule of the table is predicted, and its parts sum to the step", "[predict]") {
  for (std::size_t i = 0; i < plan::ScheduleNames().size(); ++i) {
    const auto kind = static_cast<plan::ScheduleKind>(i);
    if (kind == plan::ScheduleKind::kText) continue;  // needs a file
    plan::Scenario scenario = plan::ReadScenario("published/korthikanti_175b_selective.json");
    scenario.strategy.schedule = kind;
    const bool one_chunk = kind == plan::ScheduleKind::kGpipe || kind == plan::ScheduleKind::k1f1b ||
                           kind == plan::ScheduleKind::kZbH1 || kind == plan::ScheduleKind::kZbH2 ||
                           kind == plan::ScheduleKind::kZbAuto1p || kind == plan::ScheduleKind::kZbAuto2p;
    scenario.strategy.chunks_per_rank = one_chunk ? 1 : 2;
    INFO(plan::ScheduleNames()[i]);
    const plan::Metrics m = Predict(scenario).metrics;
    CHECK(m.attribution.Sum() / m.step_time == Approx(1).epsilon(1e-9));
    CHECK(m.step_time.value > 5);
    CHECK(m.step_time.value < 30);
  }
}

TEST_CASE("the closed form is within a percent of the event engine for every schedule of GPT-3 on 64 A100s",
          "[predict]") {
  for (int kind = 0; kind < static_cast<int>(plan::ScheduleKind::kText); ++kind) {
    for (const auto recompute : {plan::Recompute::kNone, plan::Recompute::kFull}) {
      plan::Scenario s = plan::ReadScenario("examples/gpt3_on_64_a100.json");
      s.strategy.schedule = static_cast<plan::ScheduleKind>(kind);
      s.strategy.chunks_per_rank = s.strategy.schedule == plan::ScheduleKind::kInterleaved1f1b ? 3 : 1;
      s.strategy.recompute = recompute;
      const double estimate = Predict(s, {.fidelity = Fidelity::kAnalytic}).metrics.step_time.value;
      INFO(plan::NameOf(s.strategy.schedule) << ", recompute " << static_cast<int>(recompute));
      CHECK(estimate == Approx(Predict(s).metrics.step_time.value).epsilon(0.01));
    }
  }
}

TEST_CASE("the closed form slows the forward pass that parameters arrive beside", "[predict]") {
  for (const char* file : {"published/nemotron4_15b_dp96.json", "published/nemotron4_15b_dp288.json"}) {
    plan::Scenario scenario = plan::ReadScenario(file);
    for (const bool overlaps : {true, false}) {
      INFO(file << " " << overlaps);
      scenario.strategy.overlap_parameter_gather = overlaps;
      const Seconds event = Predict(scenario).metrics.step_time;
      const Seconds closed = Predict(scenario, {.fidelity = Fidelity::kAnalytic}).metrics.step_time;
      CHECK(closed / event == Approx(1).epsilon(0.002));
    }
  }
}

TEST_CASE("every forward pass of Megatron-LM's own layers waits once for the host, and no other pass", "[predict]") {
  plan::Scenario own = plan::ReadScenario("published/korthikanti_175b_full.json"), other = own;
  REQUIRE(own.strategy.framework == "megatron_lm_2022");
  const costmodel::Costs costs = CostsOf(own);
  const double host = costs.HostOfBatch().value;
  CHECK(host > 1e-4);
  CHECK(costs.ExplainBatch().time.value == host);
  other.strategy.framework = "megatron_core";
  CHECK(CostsOf(other).HostOfBatch().value == host);  // unfused attention: layers of its own still
  other.strategy.attention = plan::AttentionForm::kFlash;
  CHECK(CostsOf(other).HostOfBatch() == Seconds(0));
  other.strategy.framework = "fsdp";
  CHECK(CostsOf(other).HostOfBatch() == Seconds(0));

  costmodel::FrameworkProfile idle =
      costmodel::FrameworkOf(own.strategy.framework, own.cluster.node.gpu, false, own.strategy.optimizer_sharding);
  idle.batch = Seconds(0);
  for (const bool pairs : {false, true}) {
    if (pairs) own.strategy.schedule = plan::ScheduleKind::kDualPipe, own.strategy.chunks_per_rank = 2;
    const plan::Plan plan = plan::BuildPlan(own);
    const sim::StepCosts with = PriceOf(plan, CostsOf(own)).step,
                         without = PriceOf(plan, CostsOf(own, {.framework = idle})).step;
    REQUIRE(with.task.size() == without.task.size());
    for (std::size_t i = 0; i < with.task.size(); ++i) {
      const bool forward = static_cast<plan::Phase>(i % plan::kPhases) == plan::Phase::kForward;
      CHECK(with.task[i] - without.task[i] == Approx(forward ? host : 0).margin(1e-12));
    }
    CHECK(with.overlapped.empty() == !pairs);
    for (std::size_t i = 0; i < with.overlapped.size(); ++i)
      CHECK(with.overlapped[i] - without.overlapped[i] == Approx(host).margin(1e-12));
  }
  const plan::Scenario alone = plan::ReadScenario("published/korthikanti_22b_full.json");
  REQUIRE(alone.strategy.pipeline == 1);
  REQUIRE(CostsOf(alone).HostOfBatch() > Seconds(0));
  CHECK(EstimateOf(alone).estimate.step_time == Approx(Predict(alone).metrics.step_time.value).epsilon(1e-9));
}

TEST_CASE("what an engine of its time could not do is said", "[predict]") {
  plan::Scenario scenario = plan::ReadScenario(plan::CatalogueFolder() + "/published/sc21_39.1b.json");
  const auto warns = [&] {
    const std::vector<std::string> warnings = Predict(scenario).metrics.warnings;
    return std::any_of(warnings.begin(), warnings.end(),
                       [](const std::string& w) { return w.find("overlap_data") == 0; });
  };
  CHECK_FALSE(warns());
  scenario.strategy.overlap_data = true;
  CHECK(warns());
  scenario.strategy.framework = "megatron_core";
  CHECK_FALSE(warns());
}

TEST_CASE("tensors that leave no room for driver, context and NCCL are warned of before they are too large",
          "[predict]") {
  plan::Scenario scenario = plan::ReadScenario(plan::CatalogueFolder() + "/examples/gpt3_on_64_a100.json");
  const std::vector<plan::StageMemory> memory = Predict(scenario).metrics.memory;
  const Bytes needed = std::max_element(memory.begin(), memory.end(), [](const auto& a, const auto& b) {
                         return a.Total() < b.Total();
                       })->Total();
  const auto warns = [&](double spare_gib, const std::string& word) {
    scenario.cluster.node.gpu.memory = needed + Bytes(spare_gib * isochrone::kGibi);
    const std::vector<std::string> warnings = Predict(scenario).metrics.warnings;
    return std::any_of(warnings.begin(), warnings.end(), [&](const std::string& w) { return w.find(word) == 0; });
  };
  CHECK_FALSE(warns(2.5, "may not fit"));
  CHECK(warns(1.5, "may not fit"));
  CHECK(warns(-0.1, "does not fit"));
  CHECK_FALSE(warns(-0.1, "may not fit"));
}
