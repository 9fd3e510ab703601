// What holds for every schedule at every legal shape: it can be played, does all work once, and keeps what its theory
// promises.
#include <catch2/catch.hpp>
#include <random>

#include "tests/sim/checker.h"
#include "tests/sim/plans.h"

using namespace isochrone;
using namespace isochrone::sim;
using plan::MessageMode;
using plan::ScheduleKind;

namespace {

/// Times in whole seconds, so that sums are exact; every third draw satisfies what closed forms ask for.
plan::StageCosts DrawCosts(std::mt19937& random, int draw) {
  const auto whole = [&](int least, int most) { return std::uniform_int_distribution<int>(least, most)(random); };
  double forward = whole(1, 20), input = whole(1, 20), weight = whole(1, 20);
  if (draw % 3 == 0) {
    weight = whole(1, 10);
    input = weight + whole(0, 5);
    forward = input + whole(0, 5);
  }
  plan::StageCosts costs = Costs(forward, input, weight);
  if (draw % 2 == 0) costs.overlapped = Seconds(forward + input + whole(0, static_cast<int>(weight)));
  return costs;
}

double Most(const std::vector<double>& values) { return *std::max_element(values.begin(), values.end()); }

void CheckAgainstTheory(const plan::ScheduleShape& shape, const plan::StageCosts& costs, const plan::Plan& played) {
  const auto theory = plan::TheoryOf(shape, costs);
  const auto result = Uniform(played, costs);
  double busiest = 0;
  for (const auto& use : result.ranks) busiest = std::max(busiest, use.busy);
  REQUIRE(busiest == theory.ideal.value);
  if (theory.exact) {
    REQUIRE(result.makespan == theory.makespan.value);
    REQUIRE(SpanOf(result) == theory.span.value);
  }
  REQUIRE(result.makespan <= theory.makespan.value);
  REQUIRE(SpanOf(result) <= theory.span.value);
  const double peak = Most(plan::PeakActivations(played.schedule, costs.weight_share));
  if (theory.exact) REQUIRE(peak == theory.peak_activations);
  REQUIRE(peak <= theory.peak_activations);
}

}  // namespace

TEST_CASE("every schedule at random shapes is valid, keeps its theory and reads back from its text", "[schedules]") {
  std::mt19937 random(20240517);
  const auto whole = [&](int least, int most) { return std::uniform_int_distribution<int>(least, most)(random); };
  for (const auto kind : kBuiltKinds) {
    for (int draw = 0; draw < 150; ++draw) {
      const auto shape = LegalShape(kind, whole(1, 16), whole(1, 4), whole(1, 64));
      const auto costs = DrawCosts(random, draw);
      INFO(plan::NameOf(kind) << " p " << shape.ranks << " v " << shape.chunks << " m " << shape.microbatches << " F "
                              << costs.forward.value << " I " << costs.backward_input.value << " W "
                              << costs.backward_weight.value << " F&B " << costs.overlapped.value);
      const plan::Plan played = PlanOf(plan::BuildSchedule(shape, costs));
      REQUIRE_NOTHROW(plan::Validate(played.schedule));
      REQUIRE(plan::ParseSchedule(plan::Print(played.schedule), "t") == played.schedule);
      CheckAgainstTheory(shape, costs, played);
    }
  }
}

TEST_CASE("an independent checker finds nothing wrong with what the engine played", "[schedules]") {
  std::mt19937 random(7);
  const auto whole = [&](int least, int most) { return std::uniform_int_distribution<int>(least, most)(random); };
  for (const auto kind : kBuiltKinds) {
    for (int draw = 0; draw < 16; ++draw) {
      const auto shape = LegalShape(kind, whole(1, 9), whole(2, 3), whole(1, 24));
      const plan::Plan played =
          PlanOf(plan::BuildSchedule(shape), draw % 2 == 0 ? MessageMode::kOverlapped : MessageMode::kBlocking);
      StepCosts costs = UniformCosts(played.schedule, Costs(3, 4, 2, 1));
      for (double& seconds : costs.task) seconds *= 1 + 0.01 * whole(-50, 50);
      for (double& seconds : costs.forward_message) seconds *= 0.01 * whole(0, 300);
      const auto result = Simulate(played, costs, true);
      INFO(plan::NameOf(kind) << " p " << shape.ranks << " v " << shape.chunks << " m " << shape.microbatches);
      REQUIRE(Checker(played, costs, result).Fault() == "");
    }
  }
}

TEST_CASE("the checker sees what is wrong", "[schedules]") {
  const plan::Plan played = PlanOf(ScheduleKind::k1f1b, 3, 1, 4);
  const StepCosts costs = UniformCosts(played.schedule, Costs(2, 2, 2, 1));
  const StepResult right = Simulate(played, costs, true);
  const auto fault_with = [&](auto change) {
    StepResult wrong = right;
    change(wrong);
    return Checker(played, costs, wrong).Fault();
  };
  CHECK(fault_with([](StepResult&) {}) == "");
  CHECK(fault_with([](StepResult& r) { r.timeline.spans[1].start -= 0.5; }) ==
        "rank 0 does two things at once on compute");
  CHECK(fault_with([](StepResult& r) { r.timeline.spans.erase(r.timeline.spans.begin()); }) ==
        "not every microbatch passes every stage forward and backward");
  CHECK(fault_with([](StepResult& r) {
          for (auto& span : r.timeline.spans)
            if (span.rank == 2) span.start -= 0.25, span.end -= 0.25;
        }) == "F0 starts before its activations arrive");
  CHECK(fault_with([](StepResult& r) { r.ranks[1].bubble += 1; }) == "rank 1's times do not add up to the makespan");
  CHECK(fault_with([](StepResult& r) { r.peak_in_flight[0] = 9; }) == "slot 0 holds another peak than reported");
}

TEST_CASE("DualPipe's bubble is (p/2 - 1)(F&B + B - 3W) where F = I", "[schedules]") {
  for (int p = 2; p <= 16; p += 2) {
    for (int m = 2 * p; m <= 64; m += 6) {
      const auto costs = Costs(5, 5, 3);
      const auto result = Uniform(PlanOf(ScheduleKind::kDualPipe, p, 2, m), costs);
      const double backward = 8, pair = 13, work = m * 13.0;
      REQUIRE(result.makespan - work == (p / 2 - 1) * (pair + backward - 3 * 3));
      REQUIRE(Most(plan::PeakActivations(plan::BuildSchedule({ScheduleKind::kDualPipe, p, 2, m}))) == p + 1);
    }
  }
}

TEST_CASE("the closed forms of ZB-V, V-Half and V-Min are exact where all passes take equally long", "[schedules]") {
  for (const auto kind : {ScheduleKind::kZbV, ScheduleKind::kVHalf, ScheduleKind::kVMin}) {
    for (int p = 1; p <= 16; ++p) {
      for (int m = 1; m <= 4 * p + 3; ++m) {
        INFO(plan::NameOf(kind) << " p " << p << " m " << m);
        const plan::ScheduleShape shape{kind, p, 2, m};
        REQUIRE(plan::TheoryOf(shape, Costs(3, 3, 3)).exact);
        CheckAgainstTheory(shape, Costs(3, 3, 3), PlanOf(kind, p, 2, m));
      }
    }
  }
}

TEST_CASE("ZB-V's bubble is (p - 1) max(2F - W, 2F - I, 2I - W, I) from 2p microbatches on", "[schedules]") {
  std::mt19937 random(3);
  const auto whole = [&](int least, int most) { return std::uniform_int_distribution<int>(least, most)(random); };
  for (int draw = 0; draw < 400; ++draw) {
    const int p = whole(1, 16), m = 2 * p + whole(0, 2 * p), f = whole(1, 40), i = whole(1, 40), w = whole(1, 40);
    INFO("p " << p << " m " << m << " F " << f << " I " << i << " W " << w);
    const double bubble = (p - 1) * std::max(std::max(2 * f - w, 2 * f - i), std::max(2 * i - w, i));
    const auto costs = Costs(f, i, w);
    REQUIRE(Uniform(PlanOf(ScheduleKind::kZbV, p, 2, m), costs).makespan == 2 * m * (f + i + w) + bubble);
    REQUIRE(plan::TheoryOf({ScheduleKind::kZbV, p, 2, m}, costs).exact);
  }
}

TEST_CASE("V schedules trade activations for bubble", "[schedules]") {
  // Passes of one second: a rank works 6 m of them. 1F1B holds 2 p chunk activations and has a bubble of 6 (p - 1).
  const int p = 16, m = 64;
  const auto played = [&](ScheduleKind kind) {
    const plan::Plan plan = PlanOf(kind, p, 2, m);
    return std::pair(Uniform(plan, Costs(1, 1, 1)).makespan - 6 * m, Most(plan::PeakActivations(plan.schedule)));
  };
  CHECK(played(ScheduleKind::kZbV) == std::pair(15.0, 32.0));
  CHECK(played(ScheduleKind::kVHalf) == std::pair(45.0, 18.0));
  CHECK(played(ScheduleKind::kVMin) == std::pair(59.0, 12.0));
}

TEST_CASE("an automatic zero-bubble order spans no more than the handcrafted one of the same memory", "[schedules]") {
  std::mt19937 random(11);
  const auto whole = [&](int least, int most) { return std::uniform_int_distribution<int>(least, most)(random); };
  for (int draw = 0; draw < 200; ++draw) {
    const int p = whole(2, 12), m = whole(1, 40);
    const auto costs = Costs(whole(1, 20), whole(1, 20), whole(1, 20));
    for (const auto& [automatic, handcrafted] : {std::pair(ScheduleKind::kZbAuto1p, ScheduleKind::kZbH1),
                                                 std::pair(ScheduleKind::kZbAuto2p, ScheduleKind::kZbH2)}) {
      const auto span = [&](ScheduleKind kind) {
        return SpanOf(Uniform(PlanOf(plan::BuildSchedule({kind, p, 1, m}, costs)), costs));
      };
      INFO(plan::NameOf(automatic) << " p " << p << " m " << m << " draw " << draw);
      REQUIRE(span(automatic) <= span(handcrafted));
    }
  }
}

TEST_CASE("a bidirectional or V schedule refuses what it cannot run, and says what it could", "[schedules]") {
  CHECK_THROWS_WITH(plan::BuildSchedule({ScheduleKind::kDualPipe, 5, 2, 20}),
                    "schedule dualpipe: 5 ranks, 2 chunks a rank, 20 microbatches\n  needs an even number of ranks\n"
                    "  give 6 ranks");
  CHECK_THROWS_WITH(plan::BuildSchedule({ScheduleKind::kDualPipe, 8, 2, 12}),
                    "schedule dualpipe: 8 ranks, 2 chunks a rank, 12 microbatches\n"
                    "  needs an even number of microbatches, at least twice the ranks\n  give 16 microbatches");
  CHECK_THROWS_WITH(plan::BuildSchedule({ScheduleKind::kZbV, 4, 1, 8}),
                    "schedule zb_v: 4 ranks, 1 chunk a rank, 8 microbatches\n  has 1 chunk a rank\n"
                    "  give 2 chunks a rank");
  CHECK_THROWS_WITH(plan::BuildSchedule({ScheduleKind::kText, 4, 1, 8}), Catch::Contains("is given as text"));
}
