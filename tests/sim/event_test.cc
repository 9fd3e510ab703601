#include "sim/event.h"

#include <catch2/catch.hpp>
#include <cstring>

#include "base/error.h"
#include "tests/sim/plans.h"

using namespace isochrone;
using namespace isochrone::sim;
using plan::MessageMode;
using plan::Plan;
using plan::ScheduleKind;
using plan::StageCosts;

namespace {

/// Spans of a rank's stream as "F0 0 1, …".
std::string Spans(const plan::Timeline& timeline, int rank, plan::Stream stream) {
  std::string out;
  char buffer[128];
  for (const auto& span : timeline.spans) {
    if (span.rank != rank || span.stream != stream) continue;
    const std::string name = span.name >= 0 ? timeline.names[span.name] : plan::Print(span.task);
    std::snprintf(buffer, sizeof buffer, "%s%s %g %g", out.empty() ? "" : ", ", name.c_str(), span.start, span.end);
    out += buffer;
  }
  return out;
}

plan::SideTask Side(int rank, const char* name, plan::Stream stream, plan::Anchor after, plan::Anchor before) {
  plan::SideTask side;
  side.rank = rank;
  side.op.name = name;
  side.op.stream = stream;
  side.after = after;
  side.before = before;
  return side;
}

plan::Op Spanning(plan::Group group) {
  plan::Op op;
  op.name = "norm";
  op.kind = plan::Collective{plan::CollectiveKind::kAllReduce, group, Bytes(8), plan::Dtype::kFp32, 1};
  return op;
}

}  // namespace

TEST_CASE("a task starts when its rank is free and its message has arrived", "[event]") {
  const Plan p = PlanOf(ScheduleKind::k1f1b, 2, 1, 2);
  const auto result = Uniform(p, Costs(2, 2, 1, 1), true);
  CHECK(Spans(result.timeline, 0, plan::Stream::kCompute) == "F0 0 2, F1 2 4, B0 9 12, B1 14 17");
  CHECK(Spans(result.timeline, 0, plan::Stream::kPipeline) == "F0 2 3, F1 4 5");
  CHECK(Spans(result.timeline, 1, plan::Stream::kCompute) == "F0 3 5, B0 5 8, F1 8 10, B1 10 13");
  CHECK(Spans(result.timeline, 1, plan::Stream::kPipeline) == "B0 8 9, B1 13 14");
  CHECK(result.makespan == 17);
  CHECK(result.ranks[0].busy == 10);
  CHECK(result.ranks[0].message == 2);
  CHECK(result.ranks[0].bubble == 5);
}

TEST_CASE("a blocking message holds sender and receiver", "[event]") {
  const Plan p = PlanOf(ScheduleKind::k1f1b, 2, 1, 2, MessageMode::kBlocking);
  const auto result = Uniform(p, Costs(2, 2, 1, 1), true);
  CHECK(Spans(result.timeline, 0, plan::Stream::kCompute) == "F0 0 2, F1 3 5, B0 9 12, B1 15 18");
  CHECK(Spans(result.timeline, 1, plan::Stream::kCompute) == "F0 3 5, B0 5 8, F1 9 11, B1 11 14");
  CHECK(result.makespan == 18);
  CHECK(result.ranks[1].message == 3);
}

TEST_CASE("the bubble of GPipe and 1F1B is (p - 1) / m, exactly", "[event][theory]") {
  for (const auto kind : {ScheduleKind::kGpipe, ScheduleKind::k1f1b}) {
    for (int p = 1; p <= 16; ++p) {
      for (int m = 1; m <= 64; ++m) {
        const auto result = Uniform(PlanOf(kind, p, 1, m), Costs(3, 4, 2));
        const double ideal = 9.0 * m;
        REQUIRE((result.makespan - ideal) * m == (p - 1) * ideal);
        for (const auto& use : result.ranks) REQUIRE(use.Sum() == result.makespan);
      }
    }
  }
}

TEST_CASE("the bubble of interleaved 1F1B is (p - 1) / (v m), exactly where p divides m", "[event][theory]") {
  for (int v = 2; v <= 4; ++v) {
    for (int p = 2; p <= 16; ++p) {
      for (int m = 1; m <= 64; ++m) {
        const plan::ScheduleShape shape{ScheduleKind::kInterleaved1f1b, p, v, m};
        const Plan played = PlanOf(plan::BuildSchedule(shape));
        const auto result = Uniform(played, Costs(3, 4, 2));
        const auto theory = plan::TheoryOf(shape, Costs(3, 4, 2));
        const double ideal = 9.0 * m * v;
        REQUIRE(theory.ideal.value == ideal);
        REQUIRE(theory.exact == (m % p == 0));
        if (m % p == 0) REQUIRE((result.makespan - ideal) * m * v == (p - 1) * ideal);
        REQUIRE(result.makespan <= theory.makespan.value);
      }
    }
  }
}

TEST_CASE("blocking messages lengthen each microbatch of 1F1B by two messages", "[event][theory]") {
  // (m - 1)(t + 2c) + p t + 2(p - 1)c - c: every steady microbatch holds a middle rank for its stage and two messages,
  // the first one crosses the pipeline both ways, and the last rank turns around without a message.
  for (const auto& [forward, backward, c] : {std::tuple{5.0, 9.0, 1.0}, {5.0, 5.0, 2.0}, {9.0, 4.0, 3.0}}) {
    const double t = forward + backward;
    for (int p = 3; p <= 16; ++p) {
      for (int m = 2; m <= 64; ++m) {
        const auto result =
            Uniform(PlanOf(ScheduleKind::k1f1b, p, 1, m, MessageMode::kBlocking), Costs(forward, backward - 1, 1, c));
        REQUIRE(result.makespan == (m - 1) * (t + 2 * c) + p * t + 2 * (p - 1) * c - c);
      }
    }
  }
}

TEST_CASE("a repeat gives the same bytes", "[event]") {
  const Plan p = PlanOf(ScheduleKind::kInterleaved1f1b, 4, 2, 12, MessageMode::kBlocking);
  const auto a = Uniform(p, Costs(0.1, 0.13, 0.07, 0.011), true), b = Uniform(p, Costs(0.1, 0.13, 0.07, 0.011), true);
  REQUIRE(a.timeline.spans.size() == b.timeline.spans.size());
  for (std::size_t i = 0; i < a.timeline.spans.size(); ++i) {
    REQUIRE(a.timeline.spans[i].start == b.timeline.spans[i].start);
    REQUIRE(a.timeline.spans[i].end == b.timeline.spans[i].end);
    REQUIRE(a.timeline.spans[i].task == b.timeline.spans[i].task);
  }
}

TEST_CASE("an order that cannot be played says who waits for whom", "[event]") {
  const Plan p = PlanOf(plan::ParseSchedule("rank 0: F0 B0 F1 B1\nrank 1: F0 F1 B0 B1\n", "t"));
  CHECK_THROWS_WITH(Uniform(p, Costs(1, 1, 1)), Catch::Contains("rank 0 waits at B0 for B0 of rank 1"));
}

TEST_CASE("a side task runs beside the tasks between its anchors", "[event][side]") {
  Plan p = PlanOf(ScheduleKind::kGpipe, 1, 1, 2);
  p.side = {Side(0, "gather", plan::Stream::kData, {plan::Anchor::kStepStart, 0}, {1, 0.5}),
            Side(0, "reduce", plan::Stream::kData, {2, 1}, {plan::Anchor::kStepEnd, 0})};
  StepCosts costs = UniformCosts(p.schedule, Costs(2, 2, 2));
  costs.side = {5, 7};
  const auto result = Simulate(p, costs, true);
  CHECK(Spans(result.timeline, 0, plan::Stream::kCompute) == "F0 0 2, F1 2 6, B0 6 10, B1 10 14");
  CHECK(Spans(result.timeline, 0, plan::Stream::kData) == "gather 0 5, reduce 10 17");
  CHECK(result.makespan == 17);
  CHECK(result.ranks[0].busy == 12);
  CHECK(result.ranks[0].side == 5);
  CHECK(result.ranks[0].Sum() == 17);
}

TEST_CASE("compute and a side task slow each other while both run", "[event][side]") {
  Plan p = PlanOf(ScheduleKind::kGpipe, 1, 1, 1);
  p.side = {Side(0, "gather", plan::Stream::kData, {plan::Anchor::kStepStart, 0}, {plan::Anchor::kStepEnd, 0})};
  StepCosts costs = UniformCosts(p.schedule, Costs(4, 4, 4));
  costs.side = {3};
  costs.compute_slowdown = 1.5;
  costs.side_slowdown = 2;
  const auto result = Simulate(p, costs, true);
  CHECK(Spans(result.timeline, 0, plan::Stream::kData) == "gather 0 6");
  CHECK(Spans(result.timeline, 0, plan::Stream::kCompute) == "F0 0 6, B0 6 14");
  CHECK(result.makespan == 14);
}

TEST_CASE("a side task on the compute stream holds it", "[event][side]") {
  Plan p = PlanOf(ScheduleKind::kGpipe, 1, 1, 1);
  p.side = {Side(0, "update", plan::Stream::kCompute, {0, 1}, {})};
  StepCosts costs = UniformCosts(p.schedule, Costs(1, 1, 1));
  costs.side = {3};
  const auto result = Simulate(p, costs, true);
  CHECK(Spans(result.timeline, 0, plan::Stream::kCompute) == "F0 0 4, update 1 4, B0 4 6");
}

TEST_CASE("a side task that is waited for before it may start is told", "[event][side]") {
  Plan p = PlanOf(ScheduleKind::kGpipe, 1, 1, 1);
  p.side = {Side(0, "gather", plan::Stream::kData, {1, 1}, {0, 0})};
  StepCosts costs = UniformCosts(p.schedule, Costs(1, 1, 1));
  costs.side = {1};
  CHECK_THROWS_WITH(Simulate(p, costs, false), Catch::Contains("rank 0, side task gather"));
}

TEST_CASE("the gradient norm makes every rank wait for the last", "[event][epilogue]") {
  Plan p = PlanOf(ScheduleKind::k1f1b, 2, 1, 1);
  p.epilogue = {{Spanning(plan::Group::kModel)}, {Spanning(plan::Group::kModel)}};
  StepCosts costs = UniformCosts(p.schedule, Costs(1, 1, 1));
  costs.epilogue = {{2}, {2}};
  const auto held = Simulate(p, costs, false);
  CHECK(held.makespan == 8);
  CHECK(held.rank_end == std::vector<double>{8, 8});
  CHECK(held.ranks[1].barrier == 2);
  CHECK(held.ranks[1].Sum() == 8);
  CHECK(SteadyPeriod(p, costs).value == 8);
  p.epilogue_barrier = false;
  const auto free = Simulate(p, costs, false);
  CHECK(free.rank_end == std::vector<double>{8, 6});
  CHECK(free.ranks[1].barrier == 0);
  CHECK(free.ranks[1].bubble == 3);
}

TEST_CASE("without a barrier steps overlap where a rank ends early", "[event][epilogue]") {
  // Rank 1 ends two seconds after rank 0, which has started its next step by then.
  Plan p = PlanOf(plan::ParseSchedule("rank 0: F0 I0 W0\nrank 1: F0 I0 W0\n", "t"));
  StepCosts costs = UniformCosts(p.schedule, Costs(1, 1, 1));
  costs.task[plan::kPhases + static_cast<int>(plan::Phase::kBackwardWeight)] = 4;
  CHECK(Simulate(p, costs, false).makespan == 7);
  CHECK(SteadyPeriod(p, costs).value == 6);
}

TEST_CASE("a tied embedding holds the first and the last rank together", "[event][epilogue]") {
  Plan p = PlanOf(ScheduleKind::k1f1b, 3, 1, 1);
  p.epilogue = {{Spanning(plan::Group::kEmbedding)}, {}, {Spanning(plan::Group::kEmbedding)}};
  p.epilogue_barrier = false;
  StepCosts costs = UniformCosts(p.schedule, Costs(1, 1, 1));
  costs.epilogue = {{2}, {}, {2}};
  const auto result = Simulate(p, costs, false);
  CHECK(result.rank_end == std::vector<double>{11, 7, 11});
  CHECK(result.ranks[2].barrier == 4);
}
