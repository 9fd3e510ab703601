// A step priced by ops that were measured apart.
#include "study/sampled_costs.h"

#include <catch2/catch.hpp>

#include "base/error.h"
#include "plan/build.h"

using namespace isochrone;

namespace {

plan::Scenario Tiny() {
  plan::Scenario s;
  s.model.layers = 4;
  s.model.hidden = 32;
  s.model.heads = s.model.kv_heads = 4;
  s.model.head_dim = 8;
  s.model.ffn = 64;
  s.model.sequence = 16;
  s.model.vocabulary = 40;
  s.batch = {.sequences = 8, .microbatch = 1};
  s.strategy.precision = plan::Dtype::kFp32;
  s.strategy.schedule = plan::ScheduleKind::kGpipe;
  return s;
}

/// Every op takes a second.
plan::Samples OneSecondEach(const plan::Plan& plan) {
  plan::Samples samples;
  for (const auto& [signature, op] : plan::OpsOf(plan)) samples.by_signature[signature].seconds = 1;
  return samples;
}

double Predict(const plan::Scenario& s, const plan::Samples& samples) {
  return study::PredictFromSamples(s, plan::BuildPlan(s), samples).value;
}

/// Ops of one phase on a stage.
double OpsOn(const plan::Plan& plan, std::size_t stage, plan::Phase phase) {
  double ops = 0;
  for (const plan::Section& section : plan.stages[stage].sections) {
    ops +=
        section.count * static_cast<double>(plan.programs[static_cast<std::size_t>(section.program)].Ops(phase).size());
  }
  return ops;
}

}  // namespace

TEST_CASE("on one rank a step is the sum of its ops", "[study]") {
  const plan::Scenario s = Tiny();
  const plan::Plan plan = plan::BuildPlan(s);
  const double passes = OpsOn(plan, 0, plan::Phase::kForward) + OpsOn(plan, 0, plan::Phase::kBackward);
  CHECK(Predict(s, OneSecondEach(plan)) == Approx(8 * passes + static_cast<double>(plan.epilogue[0].size())));
}

TEST_CASE("gradient buckets hold the rank that does one thing at a time", "[study]") {
  plan::Scenario s = Tiny();
  s.strategy.data = 2;
  const plan::Samples after = OneSecondEach(plan::BuildPlan(s));
  const double one_after_another = Predict(s, after);
  s.strategy.overlap_data = true;
  const plan::Samples beside = OneSecondEach(plan::BuildPlan(s));
  CHECK(Predict(s, beside) == Approx(one_after_another));  // one bucket, in another place
}

TEST_CASE("a message costs its sender and its receiver half of its time each", "[study]") {
  plan::Scenario s = Tiny();
  s.strategy.pipeline = 2;
  const plan::Plan plan = plan::BuildPlan(s);
  plan::Samples samples = OneSecondEach(plan);
  double& message = samples.by_signature.at(plan::SignatureOf(plan.layout, plan::MessageOp(plan))).seconds;
  message = 0;
  const double free = Predict(s, samples);
  message = 2;
  // GPipe, the second stage being the longer: it receives 8 times and sends 8; the first message and the last are
  // waited for as well.
  CHECK(Predict(s, samples) - free == Approx(8 + 8 + 1 + 1));
}

TEST_CASE("an op that was not measured is named", "[study]") {
  const plan::Scenario s = Tiny();
  plan::Samples samples = OneSecondEach(plan::BuildPlan(s));
  std::erase_if(samples.by_signature, [](const auto& sample) { return sample.first.find("forward: fc1 ") == 0; });
  try {
    Predict(s, samples);
    FAIL("it was priced");
  } catch (const Error& e) {
    CHECK(e.where == "op fc1");
    CHECK(e.fault.find("was not measured: forward: fc1 ") == 0);
  }
}
