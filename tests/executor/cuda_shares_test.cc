#include <tuple>

#include <catch2/catch.hpp>

#include "tests/executor/recorded.h"
#include "tests/executor/schedule_cases.h"

// Ranks that keep shares of what is whole only while a layer works: order, memory and overlap, recorded.

using namespace isochrone;
using namespace isochrone::executor;
using namespace isochrone::executor::cuda;

namespace {

constexpr ScheduleCase kOneChunk = {plan::ScheduleKind::k1f1b, 1};

}  // namespace

TEST_CASE("the recorder lets every schedule pass where ranks keep shares of gradients, or of parameters too",
          "[cuda]") {
  for (const ScheduleCase& c : kScheduleCases) {
    for (const plan::Sharding sharding : {plan::Sharding::kZero2, plan::Sharding::kZero3}) {
      for (const auto& [pipeline, tensor, data] : {std::tuple(2, 2, 4), std::tuple(4, 1, 4), std::tuple(4, 2, 2)}) {
        INFO(plan::NameOf(c.kind) << " pp " << pipeline << " tp " << tensor << " dp " << data);
        plan::Scenario s = ScenarioOf(c, pipeline, tensor, data);
        s.strategy.sequence_parallel = tensor > 1;
        s.strategy.optimizer_sharding = sharding;
        s.strategy.zero2_reduce_every_microbatch = sharding == plan::Sharding::kZero2;
        if (data == 4) s.strategy.shard_group = 2;
        s.strategy.overlap_data = s.strategy.overlap_parameter_gather = tensor > 1;
        RunOptions options = TinyOptions(s, 2);
        options.keep_tensors = false;
        Recorder recorder({.seed = static_cast<std::uint64_t>(pipeline), .computes = false});
        CHECK_NOTHROW(RunRecorded(s, options, recorder));
        CHECK_NOTHROW(recorder.CheckNothingLeft());
      }
    }
  }
}

TEST_CASE("a rank holds its share of parameters, gradients and state, and two layers' gradients at most", "[cuda]") {
  plan::Scenario s = ScenarioOf(kOneChunk, 1, 1, 2);
  s.model.layers = 8;
  s.strategy.data = 4;
  const auto memory = [&](plan::Sharding sharding) {
    s.strategy.optimizer_sharding = sharding;
    Recorder recorder({.seed = 0, .computes = false});
    RunOptions options = TinyOptions(s, 1);
    options.keep_tensors = false;
    return RunRecorded(s, options, recorder).memory.front();
  };
  const plan::StageMemory none = memory(plan::Sharding::kNone), two = memory(plan::Sharding::kZero2),
                          three = memory(plan::Sharding::kZero3);
  CHECK(none.communication.value == 0);
  CHECK(two.parameters.value == none.parameters.value);
  CHECK(two.gradients.value == Approx(none.gradients.value / 4).epsilon(0.01));
  CHECK(two.optimizer.value == Approx(none.optimizer.value / 4).epsilon(0.01));
  CHECK(two.communication.value <= none.gradients.value / 4 * 1.2);  // two layers of eight
  CHECK(three.parameters.value == Approx(none.parameters.value / 4).epsilon(0.01));
  CHECK(three.communication.value <= none.gradients.value / 2 * 1.2);  // and parameters of two
}

TEST_CASE("gathers and reductions run beside compute where the plan lets them, and behind it where not", "[cuda]") {
  plan::Scenario s = ScenarioOf(kOneChunk, 1, 1, 2);
  s.model.layers = 8;
  s.strategy.data = 2;
  s.strategy.optimizer_sharding = plan::Sharding::kZero3;
  s.batch.sequences = 2;
  const auto seconds = [&](bool overlap) {
    s.strategy.overlap_data = s.strategy.overlap_parameter_gather = overlap;
    Recorder recorder({.seed = 0, .computes = false, .seconds = [](const Recorder::Work& w) {
                         return w.communicates ? 0.3e-6 : w.name == "gradient share" ? 0.1e-6 : 1e-6;
                       }});
    RunOptions options = TinyOptions(s, 2);
    options.keep_tensors = false;
    const RunResult run = RunRecorded(s, options, recorder);
    return run.metrics.attribution.data.value;  // exposed
  };
  CHECK(seconds(true) < seconds(false) / 2);
}
