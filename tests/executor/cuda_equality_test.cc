#include <cmath>
#include <functional>
#include <limits>

#include <catch2/catch.hpp>

#include "base/error.h"
#include "tests/executor/recorded.h"
#include "tests/executor/schedule_cases.h"
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
  one.strategy.attention = s.strategy.attention;  // fused attention drops no weights
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

TEST_CASE("emulated GPUs that keep shares of gradients, or of parameters too, equal one CPU rank", "[cuda]") {
  plan::Scenario s = TinyFloat();
  s.strategy.data = 2;
  s.strategy.optimizer_sharding = plan::Sharding::kZero3;
  SECTION("ZeRO-2") {
    s.strategy.optimizer_sharding = plan::Sharding::kZero2;
    CheckEqual(s, 2, 1);
  }
  SECTION("ZeRO-3 under DeepSpeed's gathers, with recomputation") {
    s.strategy.framework = "megatron_deepspeed";
    s.strategy.recompute = plan::Recompute::kFull;
    CheckEqual(s, 2, 2);
  }
  SECTION("ZeRO-3 of Llama with tensor parallelism, gathers and reductions beside compute, two copies of the shards") {
    MakeLlama(s.model);
    s.strategy.tensor = 2;
    s.strategy.data = 4;
    s.strategy.shard_group = 2;
    s.strategy.overlap_data = s.strategy.overlap_parameter_gather = true;
    CheckEqual(s, 2, 3);
  }
  SECTION("ZeRO-3 over a zero-bubble pipeline, whose weight halves come late") {
    s.strategy.pipeline = 2;
    s.strategy.schedule = plan::ScheduleKind::kZbH1;
    CheckEqual(s, 2, 4);
  }
}

TEST_CASE("emulated GPUs that share positions equal one CPU rank, whichever way keys travel", "[cuda]") {
  plan::Scenario s = TinyFloat();
  s.model.sequence = 16;
  s.model.layers = 2;
  s.strategy.context = 2;
  s.strategy.attention = plan::AttentionForm::kFlash;
  s.batch.microbatch = 2;
  SECTION("a ring of four, with dropout") {
    s.strategy.context = 4;
    s.model.dropout = 0.1;
    s.strategy.context_form = plan::ContextForm::kRing;
    CheckEqual(s, 2, 1);
  }
  SECTION("a ring without a mask") {
    s.model.causal = false;
    s.strategy.context_form = plan::ContextForm::kRing;
    CheckEqual(s, 2, 2);
  }
  SECTION("gathered keys of Llama, tensor and data parallelism, shares of state") {
    MakeLlama(s.model);
    s.strategy.context_form = plan::ContextForm::kAllGather;
    s.strategy.tensor = s.strategy.data = 2;
    s.strategy.sequence_parallel = true;
    s.strategy.optimizer_sharding = plan::Sharding::kZero3;
    CheckEqual(s, 2, 3);
  }
  SECTION("heads exchanged for positions, unfused attention, dropout") {
    s.model.dropout = 0.1;
    s.strategy.context_form = plan::ContextForm::kUlysses;
    s.strategy.attention = plan::AttentionForm::kUnfused;
    CheckEqual(s, 2, 4);
  }
  SECTION("heads exchanged for positions by Llama over a pipeline") {
    MakeLlama(s.model);
    s.strategy.pipeline = 2;
    s.strategy.context_form = plan::ContextForm::kUlysses;
    CheckEqual(s, 2, 5);
  }
}

TEST_CASE("emulated GPUs with experts equal one CPU rank, wherever the experts live", "[cuda]") {
  plan::Scenario s = TinyFloat();
  s.model.layers = 2;
  s.model.moe = plan::MoeSpec{.experts = 4, .topk = 2, .ffn = 16};
  SECTION("one GPU, SwiGLU") {
    MakeLlama(s.model);
    CheckEqual(s, 2, 1);
  }
  SECTION("two expert ranks, more experts than one on each, some over capacity, a shared one") {
    s.strategy.data = s.strategy.expert = 2;
    s.model.moe->capacity_factor = 1.0;
    s.model.moe->shared_experts = 1;
    s.model.moe->shared_ffn = 32;
    CheckEqual(s, 2, 2);
  }
  SECTION("experts cut over tensor ranks, parameters in shares") {
    MakeLlama(s.model);
    s.strategy.tensor = s.strategy.data = s.strategy.expert = s.strategy.expert_tensor = 2;
    s.strategy.sequence_parallel = true;
    s.strategy.optimizer_sharding = plan::Sharding::kZero3;
    CheckEqual(s, 2, 3);
  }
  SECTION("rows cut over tensor ranks, one choice, copies of experts, an uneven load, a pipeline") {
    s.model.moe->topk = 1;
    s.strategy.tensor = s.strategy.data = s.strategy.pipeline = 2;
    s.strategy.expert = 2;
    s.strategy.optimizer_sharding = plan::Sharding::kZero1;
    CheckEqual(s, 2, 4);
  }
}

/// Losses, gradients and parameters of every schedule on 2 and 4 pipeline ranks, with tensor and data parallelism.
void CheckSchedules(int pipeline, int tensor, int data, plan::Sharding sharding = plan::Sharding::kZero1) {
  for (const ScheduleCase& c : kScheduleCases) {
    INFO(plan::NameOf(c.kind) << " pp " << pipeline << " tp " << tensor << " dp " << data);
    plan::Scenario s = ScenarioOf(c, pipeline, tensor, data);
    s.strategy.sequence_parallel = tensor > 1;
    if (data > 1) s.strategy.optimizer_sharding = sharding;
    s.strategy.zero2_reduce_every_microbatch = sharding == plan::Sharding::kZero2;
    CheckEqual(s, 2, static_cast<std::uint64_t>(c.kind));
  }
}

TEST_CASE("in every schedule two emulated GPUs of a pipeline equal one CPU rank", "[cuda]") { CheckSchedules(2, 1, 1); }

TEST_CASE("in every schedule eight emulated GPUs, tp 2, pp 2, dp 2, equal one CPU rank", "[cuda][.slow]") {
  CheckSchedules(2, 2, 2);
}

TEST_CASE("in every schedule emulated GPUs that keep shares, pp 2, dp 2, equal one CPU rank", "[cuda][.slow]") {
  CheckSchedules(2, 1, 2, plan::Sharding::kZero2);
  CheckSchedules(2, 1, 2, plan::Sharding::kZero3);
}

TEST_CASE("in every schedule four emulated GPUs of a pipeline equal one CPU rank", "[cuda][.slow]") {
  CheckSchedules(4, 1, 1);
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

namespace {

plan::Scenario Narrow(plan::Dtype precision) {
  plan::Scenario s = TinyFloat();
  s.strategy.precision = precision;
  return s;
}

RunResult Recorded(const plan::Scenario& s, int steps, std::uint64_t seed = 0) {
  Recorder recorder({.seed = seed});
  RunResult result = RunRecorded(s, TinyOptions(s, steps), recorder);
  CHECK_NOTHROW(recorder.CheckNothingLeft());
  return result;
}

/// One rank in `precision` against one CPU rank in float. bf16 keeps 8 bits of each activation, fp16 keeps 11: their
/// roundings (2^-9 and 2^-12, relative) add up like noise over some 20 ops in a row, on losses far less, since they
/// are means over tokens.
void CheckNearFloat(const plan::Scenario& s, double loss, double gradient) {
  plan::Scenario one = s;
  one.strategy = TinyFloat().strategy;
  const RunResult want = Run<float>(one, plan::BuildPlan(one), TinyOptions(one, 1));
  const RunResult got = Recorded(s, 1);
  CHECK(got.losses[0] == Approx(want.losses[0]).epsilon(loss));
  CHECK(got.gradient_norms[0] == Approx(want.gradient_norms[0]).epsilon(gradient));
  for (const auto& [key, value] : want.gradients) {
    INFO(key);
    CHECK(Distance(got.gradients.at(key), value, 1e-3) < 4 * gradient);
  }
}

/// Many ranks in `precision` against one in the same: what differs is where sums are cut and rounded.
void CheckNearOne(const plan::Scenario& s, double gradient, std::uint64_t seed) {
  plan::Scenario one = s;
  one.strategy = Narrow(s.strategy.precision).strategy;
  const RunResult want = Recorded(one, 1), got = Recorded(s, 1, seed);
  CHECK(got.losses[0] == Approx(want.losses[0]).epsilon(gradient / 4));
  CHECK(got.gradient_norms[0] == Approx(want.gradient_norms[0]).epsilon(gradient));
  for (const auto& [key, value] : want.gradients) {
    INFO(key);
    CHECK(Distance(got.gradients.at(key), value, 1e-3) < 4 * gradient);
  }
  const std::vector<double> alone = Recorded(one, 3).losses, together = Recorded(s, 3, seed).losses;
  for (std::size_t i = 0; i < alone.size(); ++i) CHECK(together[i] == Approx(alone[i]).epsilon(4 * gradient));
}

}  // namespace

TEST_CASE("one emulated GPU in bf16 and fp16 comes as near to a CPU rank in fp32 as their roundings let it", "[cuda]") {
  plan::Scenario bf16 = Narrow(plan::Dtype::kBf16), fp16 = Narrow(plan::Dtype::kFp16);
  bf16.model.layers = fp16.model.layers = 2;
  SECTION("GPT in bf16") { CheckNearFloat(bf16, 2e-3, 1e-2); }
  SECTION("GPT in fp16, gradients scaled") { CheckNearFloat(fp16, 3e-4, 2e-3); }
  SECTION("Llama in bf16, unfused attention") {
    MakeLlama(bf16.model);
    bf16.strategy.attention = plan::AttentionForm::kUnfused;
    CheckNearFloat(bf16, 2e-3, 1e-2);
  }
  SECTION("Llama in fp16") {
    MakeLlama(fp16.model);
    CheckNearFloat(fp16, 3e-4, 2e-3);
  }
}

TEST_CASE("emulated GPUs in parallel in bf16 and fp16 equal one of them within their roundings", "[cuda]") {
  const auto parallel = [](plan::Scenario s) {
    s.strategy.tensor = s.strategy.pipeline = s.strategy.data = 2;
    s.strategy.sequence_parallel = true;
    s.strategy.optimizer_sharding = plan::Sharding::kZero1;
    return s;
  };
  SECTION("bf16") { CheckNearOne(parallel(Narrow(plan::Dtype::kBf16)), 1e-2, 5); }
  SECTION("fp16") { CheckNearOne(parallel(Narrow(plan::Dtype::kFp16)), 2e-3, 6); }
  SECTION("bf16 with experts on two ranks") {
    plan::Scenario s = Narrow(plan::Dtype::kBf16);
    s.model.moe = plan::MoeSpec{.experts = 4, .topk = 2, .ffn = 16};
    s.strategy.data = s.strategy.expert = 2;
    CheckNearOne(s, 1e-2, 8);
  }
  SECTION("bf16 over a ring, parameters in shares") {
    plan::Scenario s = Narrow(plan::Dtype::kBf16);
    s.strategy.context = s.strategy.data = 2;
    s.strategy.optimizer_sharding = plan::Sharding::kZero3;
    CheckNearOne(s, 1e-2, 7);
  }
}

TEST_CASE("in bf16 every schedule passes the recorder, values of two bytes, gradients and masters of four", "[cuda]") {
  for (const ScheduleCase& c : kScheduleCases) {
    INFO(plan::NameOf(c.kind));
    plan::Scenario s = ScenarioOf(c, 2, 2, 2);
    s.strategy.precision = plan::Dtype::kBf16;
    s.strategy.optimizer_sharding = plan::Sharding::kZero1;
    RunOptions options = TinyOptions(s, 2);
    options.keep_tensors = false;
    Recorder recorder({.seed = 1, .computes = false});
    const RunResult run = RunRecorded(s, options, recorder);
    CHECK_NOTHROW(recorder.CheckNothingLeft());
    for (const plan::StageMemory& m : run.memory) {
      CHECK(m.gradients / m.parameters == Approx(2));
      CHECK(m.optimizer / m.gradients == Approx(3.0 / 2).epsilon(0.01));  // master and two moments of half of it
    }
  }
}

TEST_CASE("the factor on gradients halves where they overflow, doubles where they long did not, and gives up at 1",
          "[cuda]") {
  const double infinity = std::numeric_limits<double>::infinity();
  LossScale scale(true);
  CHECK(scale.Value() == 65536);
  CHECK(scale.Note(infinity));
  CHECK(scale.Value() == 32768);
  for (int i = 0; i < 999; ++i) CHECK(scale.Note(1));
  CHECK(scale.Value() == 32768);
  CHECK(scale.Note(1));
  CHECK(scale.Value() == 65536);
  CHECK(scale.Updates() == 1000);
  for (int i = 0; i < 16; ++i) CHECK(scale.Note(infinity));
  CHECK(scale.Value() == 1);
  CHECK_FALSE(scale.Note(infinity));
  LossScale none(false);
  CHECK(none.Note(1));
  CHECK_FALSE(none.Note(infinity));
  CHECK(none.Value() == 1);
}

TEST_CASE("a step whose gradients overflow in fp16 updates nothing, and training goes on", "[cuda]") {
  plan::Scenario s = Narrow(plan::Dtype::kFp16);
  s.model.layers = 2;
  RunOptions options = TinyOptions(s, 3);
  const double large = 12;  // of the last normalisation's weights: gradients times 2^16 pass 65504
  options.initial = [&](const std::string& key, std::int64_t index) {
    if (key.ends_with("norm.weight")) return large;
    return 0.1 * std::sin(static_cast<double>(index) + static_cast<double>(key.size()));
  };
  options.tokens = [](std::int64_t, std::int64_t sequence, std::span<std::int32_t> tokens) {  // of every step
    for (std::size_t i = 0; i < tokens.size(); ++i)
      tokens[i] = static_cast<std::int32_t>((static_cast<std::size_t>(sequence) * 7 + i * i) % 40);
  };
  Recorder recorder({});
  const RunResult run = RunRecorded(s, options, recorder);
  CHECK_FALSE(std::isfinite(run.gradient_norms[0]));
  CHECK(run.losses[1] == run.losses[0]);
}

TEST_CASE("what the CUDA executor does not run is refused with key and remedy", "[cuda]") {
  const auto refusal = [](const std::function<void(plan::Scenario&)>& change) {
    plan::Scenario s = TinyFloat();
    change(s);
    const plan::Plan plan = plan::BuildPlan(s);
    try {
      PrepareDevicePlan(s, plan, TinyOptions(s));
    } catch (const Error& e) {
      return e.where + ": " + e.instead;
    }
    return std::string("runs");
  };
  CHECK(refusal([](plan::Scenario&) {}) == "runs");
  CHECK(refusal([](plan::Scenario& s) { s.strategy.precision = plan::Dtype::kFp8; }) ==
        "tiny.json: /strategy/precision: write one of these; fp8 is predicted only");
  CHECK(refusal([](plan::Scenario& s) {
          s.strategy.precision = plan::Dtype::kBf16;
          s.strategy.gradient_reduce_dtype = plan::Dtype::kBf16;
        }) == "tiny.json: /strategy/gradient_reduce_dtype: write \"fp32\"");
}
