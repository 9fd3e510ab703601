// What a rank's own accounting holds at its fullest instant is what the plan predicts, kernels' workspaces included.
#include <catch2/catch.hpp>

#include <functional>

#include "plan/memory.h"
#include "tests/executor/tiny.h"

using namespace isochrone;
using namespace isochrone::executor;

namespace {

/// In fp32, on a node whose ranks are threads of a CPU.
plan::Scenario OnCpu(const std::function<void(plan::Scenario&)>& change) {
  plan::Scenario s = Tiny();
  s.strategy.precision = s.strategy.gradient_dtype = s.strategy.gradient_reduce_dtype = plan::Dtype::kFp32;
  s.cluster.node.gpu.architecture = "cpu";
  s.model.sequence = 48;
  change(s);
  return s;
}

}  // namespace

TEST_CASE("one rank holds what was predicted, to the byte, in GPTs, experts and Mamba-2 hybrids", "[executor]") {
  const std::vector<std::function<void(plan::Scenario&)>> changes = {
      [](plan::Scenario&) {},
      [](plan::Scenario& s) { MakeLlama(s.model); },
      [](plan::Scenario& s) { s.strategy.attention = plan::AttentionForm::kUnfused; },
      [](plan::Scenario& s) { MakeMamba(s.model); },
      [](plan::Scenario& s) {
        MakeMamba(s.model);
        s.model.mamba->state = 64;  // the states between chunks outweigh all else
        s.strategy.recompute = plan::Recompute::kFull;
      },
      [](plan::Scenario& s) {
        MakeMamba(s.model);
        s.model.pattern = "MMMM";
        s.model.sequence = 300;  // two chunks of 256
        s.batch.microbatch = 2;
      },
      [](plan::Scenario& s) { s.model.moe = plan::MoeSpec{.experts = 4, .topk = 2, .ffn = 64}; },
  };
  for (const auto& change : changes) {
    const plan::Scenario s = OnCpu(change);
    const plan::Plan plan = plan::BuildPlan(s);
    const plan::StageMemory held = Run<float>(s, plan, TinyOptions(s)).memory.at(0);
    const plan::StageMemory predicted = plan::MemoryOf(s, plan).at(0);
    INFO(s.model.pattern << " " << s.model.sequence << (s.model.moe ? " experts" : ""));
    CHECK(predicted.Total().value == held.Total().value);
  }
}
