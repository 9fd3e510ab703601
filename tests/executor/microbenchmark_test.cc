// Ops measured apart.
#include "executor/microbenchmark.h"

#include <catch2/catch.hpp>

#include <functional>
#include <set>

#include "tests/executor/tiny.h"

using namespace isochrone;
using namespace isochrone::executor;

namespace {

plan::Scenario Changed(const std::function<void(plan::Strategy&)>& change) {
  plan::Scenario s = Tiny();
  s.strategy.precision = plan::Dtype::kFp32;
  s.strategy.gradient_dtype = s.strategy.gradient_reduce_dtype = plan::Dtype::kFp32;
  change(s.strategy);
  return s;
}

/// What a step of `plan` runs: ops of the phases that its tasks have, and the step's own.
std::set<std::string> Needed(const plan::Plan& plan) {
  std::set<plan::Phase> phases;
  for (const auto& order : plan.schedule.order) {
    for (const plan::Task& task : order) phases.insert(task.phase);
  }
  std::set<std::string> signatures;
  for (const plan::LayerProgram& program : plan.programs) {
    for (const plan::Phase phase : phases) {
      for (const plan::Op& op : program.Ops(phase)) signatures.insert(plan::SignatureOf(plan.layout, phase, op));
    }
  }
  for (const auto& ops : plan.epilogue) {
    for (const plan::Op& op : ops) signatures.insert(plan::SignatureOf(plan.layout, op));
  }
  if (plan.layout.pp > 1) signatures.insert(plan::SignatureOf(plan.layout, plan::MessageOp(plan)));
  return signatures;
}

}  // namespace

TEST_CASE("every op of a plan is measured, in turns and all ranks at once", "[executor]") {
  const std::vector<std::function<void(plan::Strategy&)>> changes = {
      [](plan::Strategy&) {},
      [](plan::Strategy& y) { y.tensor = 2; },
      [](plan::Strategy& y) { y.pipeline = 2; },
      [](plan::Strategy& y) {
        y.pipeline = 2;
        y.schedule = plan::ScheduleKind::kZbH1;
      },
      [](plan::Strategy& y) {
        y.data = 2;
        y.optimizer_sharding = plan::Sharding::kZero2;
      },
      [](plan::Strategy& y) { y.tensor = y.data = 2; },
  };
  for (std::size_t i = 0; i < changes.size(); ++i) {
    const plan::Scenario s = Changed(changes[i]);
    const plan::Plan plan = plan::BuildPlan(s);
    for (const ClockKind clock : {ClockKind::kVirtual, ClockKind::kWall}) {
      plan::Samples samples;
      MeasureOps(s, plan, clock, samples);
      for (const std::string& signature : Needed(plan)) {
        INFO("change " << i << ", " << ClockNames()[static_cast<std::size_t>(clock)] << " clock: " << signature);
        REQUIRE(samples.by_signature.count(signature) == 1);
        const plan::Sample& sample = samples.by_signature.at(signature);
        CHECK(sample.repeats > 0);
        CHECK(sample.seconds >= 0);
        CHECK(sample.seconds < 10);
      }
    }
  }
}

TEST_CASE("what was measured before is not measured again", "[executor]") {
  const plan::Scenario s = Changed([](plan::Strategy&) {});
  const plan::Plan plan = plan::BuildPlan(s);
  plan::Samples samples;
  for (const auto& [signature, op] : plan::OpsOf(plan))
    samples.by_signature[signature] = {.seconds = 7, .spread = 0, .repeats = 1};
  MeasureOps(s, plan, ClockKind::kWall, samples);
  for (const auto& [signature, sample] : samples.by_signature) CHECK(sample.seconds == 7);
}
