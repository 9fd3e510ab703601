// Losses, gradients and updated parameters at any degree equal those of one rank.
#include <catch2/catch.hpp>

#include <cstdio>
#include <functional>

#include "tests/executor/drawn.h"

using namespace isochrone;
using namespace isochrone::executor;

namespace {

constexpr plan::ScheduleKind kSchedules[] = {
    plan::ScheduleKind::kGpipe,     plan::ScheduleKind::k1f1b,     plan::ScheduleKind::kInterleaved1f1b,
    plan::ScheduleKind::kZbH1,      plan::ScheduleKind::kZbH2,     plan::ScheduleKind::kZbV,
    plan::ScheduleKind::kVHalf,     plan::ScheduleKind::kVMin,     plan::ScheduleKind::kDualPipe,
    plan::ScheduleKind::kDualPipeV, plan::ScheduleKind::kZbAuto1p, plan::ScheduleKind::kZbAuto2p};
constexpr plan::Recompute kRecomputes[] = {plan::Recompute::kNone, plan::Recompute::kSelective,
                                           plan::Recompute::kSelectiveOp, plan::Recompute::kFull};
constexpr plan::Sharding kShardings[] = {plan::Sharding::kNone, plan::Sharding::kZero1, plan::Sharding::kZero2,
                                         plan::Sharding::kZero3};

/// Three steps. Adam divides by the root of the second moment: in single precision its epsilon is above the rounding of
/// gradients, or an element whose gradient is rounding alone would move as far as any other.
RunResult RunSingle(plan::Scenario s) {
  s.strategy.precision = s.strategy.gradient_dtype = s.strategy.gradient_reduce_dtype = plan::Dtype::kFp32;
  RunOptions options = TinyOptions(s);
  options.adam.epsilon = 1e-4;
  return Run<float>(s, plan::BuildPlan(s), options);
}

/// To 1e-10 in double precision and to 1e-4 in single precision, where a tensor that should be zero is held against the
/// noise that sums of such numbers leave.
void CheckCombination(const plan::Scenario& s) {
  INFO(Describe(s));
  std::printf("equal to one rank: %s\n", Describe(s).c_str());
  CheckEqual(RunTiny<double>(s), RunTiny<double>(OneRank(s)), 1e-10, 1e-8);
  CheckEqual(RunSingle(s), RunSingle(OneRank(s)), 1e-4, 1e-3);
}

}  // namespace

TEST_CASE("at any degree, schedule, recomputation and sharding the losses, gradients and parameters are one rank's",
          "[executor]") {
  Draw draw(11);
  for (std::size_t i = 0; i < std::size(kSchedules); ++i) {
    for (std::size_t j = 0; j < std::size(kRecomputes); ++j)
      CheckCombination(draw.Of(kSchedules[i], kRecomputes[j], kShardings[(i + j) % std::size(kShardings)]));
  }
}

TEST_CASE("every schedule under every recomputation and sharding, and all degrees up to 4, train as one rank does",
          "[.slow][executor]") {
  Draw draw(12);
  int combinations = 0;
  for (const plan::ScheduleKind schedule : kSchedules) {
    for (const plan::Recompute recompute : kRecomputes) {
      for (const plan::Sharding sharding : kShardings) {
        CheckCombination(draw.Of(schedule, recompute, sharding));
        ++combinations;
      }
    }
  }
  for (const plan::Scenario& s : draw.Rest()) {
    CheckCombination(s);
    ++combinations;
  }
  std::printf("%d combinations, which have all %zu degrees\n", combinations, AllDegrees().size());
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
