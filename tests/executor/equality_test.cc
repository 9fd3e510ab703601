// Losses, gradients and updated parameters at any degree equal those of one rank.
#include <catch2/catch.hpp>

#include <cstdio>
#include <random>

#include "plan/stages.h"
#include "tests/executor/tiny.h"

using namespace isochrone;
using namespace isochrone::executor;

namespace {

plan::Scenario OneRank(plan::Scenario s) {
  s.strategy.tensor = s.strategy.pipeline = s.strategy.data = s.strategy.chunks_per_rank = 1;
  s.strategy.sequence_parallel = false;
  s.strategy.schedule = plan::ScheduleKind::k1f1b;
  s.strategy.recompute = plan::Recompute::kNone;
  s.strategy.optimizer_sharding = plan::Sharding::kNone;
  s.strategy.overlap_data = s.strategy.overlap_parameter_gather = false;
  s.batch.microbatch = 1;
  return s;
}

std::string Describe(const plan::Scenario& s) {
  static const char* const kRecompute[] = {"none", "selective", "selective_op", "full"};
  return "tp " + std::to_string(s.strategy.tensor) + (s.strategy.sequence_parallel ? "+sp" : "") + " pp " +
         std::to_string(s.strategy.pipeline) + " dp " + std::to_string(s.strategy.data) + " " +
         plan::NameOf(s.strategy.schedule) + " chunks " + std::to_string(s.strategy.chunks_per_rank) + " microbatch " +
         std::to_string(s.batch.microbatch) + " recompute " +
         kRecompute[static_cast<std::size_t>(s.strategy.recompute)] +
         (s.strategy.optimizer_sharding == plan::Sharding::kZero1 ? " zero1" : "") +
         (s.strategy.overlap_data ? " buckets" : "") + (s.strategy.overlap_parameter_gather ? " gathers" : "") +
         (s.model.tied_embeddings ? " tied" : "") + (s.model.dropout > 0 ? " dropout" : "") +
         (s.strategy.attention == plan::AttentionForm::kFlash ? " flash" : " unfused") +
         (s.model.mlp == plan::MlpKind::kSwiglu ? " llama" : " gpt");
}

void CheckEqual(const RunResult& many, const RunResult& one, double tolerance, double floor) {
  REQUIRE(many.losses.size() == one.losses.size());
  for (std::size_t i = 0; i < one.losses.size(); ++i) {
    CHECK(many.losses[i] == Approx(one.losses[i]).epsilon(tolerance).margin(0));
    CHECK(many.gradient_norms[i] == Approx(one.gradient_norms[i]).epsilon(tolerance).margin(0));
  }
  for (const auto tensors : {&RunResult::gradients, &RunResult::parameters}) {
    REQUIRE((many.*tensors).size() == (one.*tensors).size());
    for (const auto& [key, value] : one.*tensors) {
      INFO(key);
      CHECK(Distance((many.*tensors).at(key), value, floor) <= tolerance);
    }
  }
}

/// A legal scenario with degrees up to 4, at most 16 ranks.
plan::Scenario Random(std::mt19937& random, plan::ScheduleKind schedule) {
  const auto pick = [&](auto... choices) {
    const std::vector<std::common_type_t<decltype(choices)...>> all = {choices...};
    return all[random() % all.size()];
  };
  plan::Scenario s = Tiny();
  if (pick(0, 1)) MakeLlama(s.model);
  s.model.tied_embeddings = pick(0, 1) == 1;
  s.model.dropout = pick(0.0, 0.1);
  s.strategy.attention = pick(plan::AttentionForm::kFlash, plan::AttentionForm::kUnfused);
  do {
    s.strategy.tensor = pick(1, 2, s.model.kv_heads == 4 ? 4 : 2);
    s.strategy.pipeline = pick(1, 2, 4);
    s.strategy.data = pick(1, 2, 4);
  } while (s.strategy.tensor * s.strategy.pipeline * s.strategy.data > 16 ||
           s.strategy.tensor * s.strategy.pipeline * s.strategy.data == 1);
  s.strategy.schedule = schedule;
  if (schedule == plan::ScheduleKind::kInterleaved1f1b) {
    s.strategy.pipeline = 2;
    s.strategy.chunks_per_rank = 2;
  } else if (plan::StagesOf(s.strategy) > s.strategy.pipeline) {  // two chunks, four layers
    s.strategy.pipeline = 2;
  }
  s.strategy.sequence_parallel = s.strategy.tensor > 1 && pick(0, 1);
  s.strategy.recompute = pick(plan::Recompute::kNone, plan::Recompute::kSelective, plan::Recompute::kFull);
  s.strategy.optimizer_sharding = pick(plan::Sharding::kNone, plan::Sharding::kZero1);
  s.strategy.overlap_data = s.strategy.data > 1 && pick(0, 1);
  s.strategy.overlap_parameter_gather =
      s.strategy.optimizer_sharding == plan::Sharding::kZero1 && s.strategy.data > 1 && pick(0, 1);
  s.batch.sequences = 16;
  s.batch.microbatch = s.strategy.data < 4 ? pick(1, 2) : 1;
  return s;
}

}  // namespace

TEST_CASE("at any degree, schedule and recomputation the losses, gradients and parameters are one rank's",
          "[executor]") {
  std::mt19937 random(11);
  for (const plan::ScheduleKind schedule :
       {plan::ScheduleKind::kGpipe, plan::ScheduleKind::k1f1b, plan::ScheduleKind::kInterleaved1f1b,
        plan::ScheduleKind::kZbH1, plan::ScheduleKind::kZbH2, plan::ScheduleKind::kZbV, plan::ScheduleKind::kVHalf,
        plan::ScheduleKind::kVMin, plan::ScheduleKind::kDualPipeV, plan::ScheduleKind::kZbAuto1p}) {
    for (int i = 0; i < 4; ++i) {
      const plan::Scenario s = Random(random, schedule);
      INFO(Describe(s));
      std::printf("equal to one rank: %s\n", Describe(s).c_str());
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
  for (const bool llama : {false, true}) {
    plan::Scenario s = Tiny();
    if (llama) MakeLlama(s.model);
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
