#include <catch2/catch.hpp>

#include "base/error.h"
#include "tests/executor/recorded.h"
#include "tests/executor/tiny.h"

// The walk of a GPU's rank on a recorded device with emulated kernels, against one rank of the CPU.

using namespace isochrone;
using namespace isochrone::executor;
using namespace isochrone::executor::cuda;

namespace {

plan::Scenario TinyFloat() {
  plan::Scenario s = Tiny();
  s.strategy.precision = s.strategy.gradient_dtype = s.strategy.gradient_reduce_dtype = plan::Dtype::kFp32;
  s.batch.sequences = 4;
  return s;
}

/// Losses, gradients and updated parameters equal those of one CPU rank within 1e-3 (in fact about 1e-5: both are
/// float, and add in other orders).
void CheckEqual(const plan::Scenario& s, int steps = 2, std::uint64_t seed = 0) {
  plan::Scenario one = s;
  one.strategy = TinyFloat().strategy;
  const RunResult want = Run<float>(one, plan::BuildPlan(one), TinyOptions(one, steps));
  Recorder recorder({.seed = seed});
  const RunResult got = RunRecorded(s, TinyOptions(s, steps), recorder);
  CHECK_NOTHROW(recorder.CheckNothingLeft());
  REQUIRE(got.losses.size() == want.losses.size());
  for (std::size_t i = 0; i < want.losses.size(); ++i) {
    CHECK(got.losses[i] == Approx(want.losses[i]).epsilon(1e-4));
    CHECK(got.gradient_norms[i] == Approx(want.gradient_norms[i]).epsilon(1e-3));
  }
  REQUIRE(got.parameters.size() == want.parameters.size());
  for (const auto& [key, value] : want.parameters) {
    INFO(key);
    CHECK(Distance(got.parameters.at(key), value, 1e-3) < 1e-3);
    CHECK(Distance(got.gradients.at(key), want.gradients.at(key), 1e-3) < 1e-3);
  }
}

}  // namespace

TEST_CASE("one emulated GPU equals one CPU rank, for GPT and Llama, with dropout and recomputation", "[cuda]") {
  plan::Scenario s = TinyFloat();
  s.model.layers = 2;
  SECTION("GPT") { CheckEqual(s); }
  SECTION("Llama") {
    MakeLlama(s.model);
    CheckEqual(s);
  }
  SECTION("dropout and recomputation") {
    s.model.dropout = 0.1;
    s.strategy.recompute = plan::Recompute::kFull;
    plan::Scenario one = s;
    Recorder recorder({});
    const RunResult want = Run<float>(one, plan::BuildPlan(one), TinyOptions(one, 2));
    const RunResult got = RunRecorded(s, TinyOptions(s, 2), recorder);
    for (std::size_t i = 0; i < want.losses.size(); ++i) CHECK(got.losses[i] == Approx(want.losses[i]).epsilon(1e-4));
  }
}

TEST_CASE("emulated GPUs in parallel equal one CPU rank, in whatever order streams run", "[cuda]") {
  plan::Scenario s = TinyFloat();
  SECTION("tensor and sequence parallelism") {
    s.model.layers = 2;
    s.strategy.tensor = 2;
    s.strategy.sequence_parallel = true;
    CheckEqual(s, 2, 1);
  }
  SECTION("a pipeline with interleaved chunks, tensor and data parallelism, sharded state") {
    s.strategy.pipeline = s.strategy.tensor = s.strategy.data = 2;
    s.strategy.schedule = plan::ScheduleKind::kInterleaved1f1b;
    s.strategy.chunks_per_rank = 2;
    s.strategy.optimizer_sharding = plan::Sharding::kZero1;
    CheckEqual(s, 2, 2);
  }
  SECTION("a zero-bubble pipeline of Llama") {
    MakeLlama(s.model);
    s.strategy.pipeline = 4;
    s.strategy.schedule = plan::ScheduleKind::kZbH1;
    CheckEqual(s, 2, 3);
  }
  SECTION("DualPipe, with two copies of every stage") {
    s.strategy.pipeline = 2;
    s.strategy.chunks_per_rank = 2;
    s.strategy.schedule = plan::ScheduleKind::kDualPipe;
    CheckEqual(s, 2, 4);
  }
}

TEST_CASE("whatever call fails, the run ends with its error and gives back all that it took", "[cuda]") {
  plan::Scenario s = TinyFloat();
  s.model.layers = 2;
  s.strategy.pipeline = 2;
  RunOptions options = TinyOptions(s, 1);
  Recorder counting({.seed = 0, .computes = false});
  RunRecorded(s, options, counting);
  const std::size_t calls = counting.CallsMade();
  REQUIRE(calls > 500);
  for (std::size_t call = 1; call < calls; call += call < 40 ? 1 : 1 + calls / 60) {
    INFO("call " << call);
    Recorder recorder({.seed = 0, .computes = false});
    recorder.FailAt(call);
    bool failed = false;
    try {
      RunRecorded(s, options, recorder);
    } catch (const Error& e) {
      failed = true;
    }
    INFO(recorder.FailedCall());
    CHECK((failed || recorder.FailedCall() == "cudaMalloc"));  // memory is asked for again when spare blocks are freed
    CHECK_NOTHROW(recorder.CheckNothingLeft());
  }
}

TEST_CASE("what the CUDA executor does not run is refused with key and remedy", "[cuda]") {
  plan::Scenario s = TinyFloat();
  s.strategy.precision = plan::Dtype::kBf16;
  const plan::Plan plan = plan::BuildPlan(s);
  const RunOptions options = TinyOptions(s);
  CHECK_THROWS_WITH(PrepareDevicePlan(s, plan, options), Catch::Matchers::Contains("/strategy/precision"));
}
