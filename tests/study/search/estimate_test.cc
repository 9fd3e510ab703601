#include <catch2/catch.hpp>

#include <cmath>
#include <random>

#include "base/error.h"
#include "plan/memory.h"
#include "plan/scenario.h"
#include "study/predict.h"
#include "study/search/legal.h"
#include "study/search/space.h"
#include "study/terms/estimate.h"

namespace isochrone::study {
namespace {

using plan::Scenario;
using plan::ScheduleKind;

/// A legal configuration of a small model on few GPUs, by chance.
Scenario RandomScenario(std::mt19937& random) {
  static const Scenario base = plan::ReadScenario("published/sc21_3.6b.json");
  const auto one_of = [&](auto... values) {
    const std::common_type_t<decltype(values)...> all[] = {values...};
    return all[random() % sizeof...(values)];
  };
  for (;;) {
    Scenario s = base;
    plan::Strategy& strategy = s.strategy;
    s.cluster.nodes = one_of(1, 2, 4);
    s.batch.microbatch = one_of(1, 2);
    s.batch.sequences = one_of(32, 48, 64, 96);
    strategy.tensor = one_of(1, 2, 4);
    strategy.pipeline = one_of(1, 2, 3, 4, 8);
    strategy.data = one_of(1, 2, 4);
    strategy.schedule = static_cast<ScheduleKind>(random() % 10);
    strategy.chunks_per_rank = strategy.schedule == ScheduleKind::kInterleaved1f1b ? one_of(2, 3) : 1;
    strategy.account_embedding_in_split = one_of(false, true);
    strategy.sequence_parallel = one_of(false, true);
    strategy.overlap_data = one_of(false, true);
    strategy.overlap_pipeline = one_of(false, true);
    strategy.optimizer_barrier = one_of(plan::OptimizerBarrier::kGlobalNorm, plan::OptimizerBarrier::kPostValidation);
    strategy.recompute = static_cast<plan::Recompute>(random() % 4);
    strategy.optimizer_sharding = static_cast<plan::Sharding>(random() % 4);
    strategy.zero2_reduce_every_microbatch = one_of(false, true);
    strategy.recompute_layers = strategy.recompute == plan::Recompute::kFull ? one_of(0, 2) : 0;
    strategy.offload_optimizer =
        one_of(plan::OffloadTarget::kNone, plan::OffloadTarget::kNone, plan::OffloadTarget::kHost);
    strategy.offload_activations =
        one_of(plan::OffloadTarget::kNone, plan::OffloadTarget::kNone, plan::OffloadTarget::kHost);
    try {
      plan::Check(s);
      plan::BuildSchedule(ScheduleShapeOf(s));
    } catch (const Error&) {
      continue;
    }
    if (LegalPipeline(s)) return s;
  }
}

}  // namespace

TEST_CASE("the estimate holds every stage to the byte that the memory account counts", "[search]") {
  std::mt19937 random(7);
  for (int i = 0; i < 60; ++i) {
    const Scenario s = RandomScenario(random);
    const ScenarioEstimate e = EstimateOf(s);
    const std::vector<plan::StageMemory> memory = plan::MemoryOf(s, plan::BuildPlan(s));
    REQUIRE(e.bytes.size() == memory.size());
    INFO(plan::NameOf(s.strategy.schedule) << " pp " << s.strategy.pipeline << " m " << s.Microbatches());
    for (std::size_t r = 0; r < memory.size(); ++r) CHECK(e.bytes[r] == memory[r].Total().value);
  }
}

TEST_CASE("without a pipeline the estimate is the event engine's step, to rounding", "[search]") {
  std::mt19937 random(11);
  int seen = 0;
  for (int i = 0; i < 400 && seen < 25; ++i) {
    const Scenario s = RandomScenario(random);
    if (s.strategy.pipeline > 1) continue;
    ++seen;
    const double event = Predict(s).metrics.step_time.value;
    CHECK(EstimateOf(s).estimate.step_time == Approx(event).epsilon(1e-9));
  }
  CHECK(seen == 25);
}

TEST_CASE("the estimate of a pipeline of one chunk a rank is within two percent of the event engine's step",
          "[search]") {
  std::mt19937 random(13);
  std::map<ScheduleKind, std::vector<double>> errors = {
      {ScheduleKind::k1f1b, {}}, {ScheduleKind::kZbH1, {}}, {ScheduleKind::kZbH2, {}}};
  for (int i = 0; i < 400; ++i) {
    const Scenario s = RandomScenario(random);
    const auto kind = errors.find(s.strategy.schedule);
    if (s.strategy.pipeline == 1 || kind == errors.end()) continue;
    const double event = Predict(s).metrics.step_time.value, estimate = EstimateOf(s).estimate.step_time;
    INFO(plan::NameOf(kind->first) << " pp " << s.strategy.pipeline << " m " << s.Microbatches() << " dp "
                                   << s.strategy.data);
    CHECK(std::abs(estimate / event - 1) < 0.02);
    kind->second.push_back(std::abs(estimate / event - 1));
  }
  for (const auto& [kind, of] : errors) {
    INFO(plan::NameOf(kind));
    REQUIRE(of.size() >= 25);
    CHECK(std::accumulate(of.begin(), of.end(), 0.0) / static_cast<double>(of.size()) < 0.005);
  }
}

TEST_CASE("gradient buckets beside interleaved passes hold up the ranks before them once", "[search]") {
  Scenario s = plan::ReadScenario("published/nemotron4_340b_dp16.json");
  for (const int chunks : {2, 4, 8}) {
    INFO(chunks);
    s.strategy.chunks_per_rank = chunks;
    CHECK(EstimateOf(s).estimate.step_time == Approx(Predict(s).metrics.step_time.value).epsilon(0.01));
  }
}

TEST_CASE("how far estimates of random scenarios are from the event engine", "[.report]") {
  std::mt19937 random(17);
  std::map<std::string, std::vector<double>> errors;
  for (int i = 0; i < 600; ++i) {
    const Scenario s = RandomScenario(random);
    const double event = Predict(s).metrics.step_time.value;
    errors[s.strategy.pipeline == 1 ? "no pipeline" : plan::NameOf(s.strategy.schedule)].push_back(
        EstimateOf(s).estimate.step_time / event - 1);
  }
  for (const auto& [name, all] : errors) {
    double mean = 0, worst = 0;
    for (double e : all) mean += std::abs(e), worst = std::max(worst, std::abs(e));
    WARN(name << ": n " << all.size() << ", mean " << mean / static_cast<double>(all.size()) << ", worst " << worst);
  }
}

TEST_CASE("predict at analytic fidelity is the estimate, and its parts add up", "[search]") {
  const Scenario s = plan::ReadScenario("examples/gpt3_on_64_a100.json");
  const Prediction p = Predict(s, {.fidelity = Fidelity::kAnalytic});
  CHECK(p.metrics.step_time.value == Approx(EstimateOf(s).estimate.step_time).epsilon(1e-12));
  CHECK(p.metrics.attribution.Sum().value == Approx(p.metrics.step_time.value).epsilon(1e-9));
}

}  // namespace isochrone::study
