#include "sim/critical_path.h"

#include <catch2/catch.hpp>
#include <random>

#include "tests/sim/plans.h"

using namespace isochrone;
using namespace isochrone::sim;
using plan::MessageMode;
using plan::ScheduleKind;

namespace {

std::string Text(const std::vector<CriticalStep>& path) {
  std::string out;
  for (const auto& step : path) {
    char buffer[96];
    const std::string name = step.name.empty() ? plan::Print(step.task) : step.name;
    std::snprintf(buffer, sizeof buffer, "%s %d %s %g-%g, ", NameOf(step.kind), step.rank, name.c_str(), step.start,
                  step.end);
    out += buffer;
  }
  return out;
}

double GainOf(const std::vector<Gain>& gains, WorkKind kind) { return gains[static_cast<int>(kind)].seconds; }

}  // namespace

TEST_CASE("the critical path of one microbatch is its whole way", "[critical_path]") {
  const auto p = PlanOf(ScheduleKind::k1f1b, 2, 1, 1);
  CHECK(Text(CriticalPath(p, UniformCosts(p.schedule, Costs(2, 2, 1, 1)))) ==
        "forward 0 F0 0-2, message 0 F0 2-3, forward 1 F0 3-5, backward 1 B0 5-8, message 1 B0 8-9, "
        "backward 0 B0 9-12, ");
}

TEST_CASE("side tasks, their anchors and the epilogue are on the path where they bind", "[critical_path]") {
  plan::Plan p = PlanOf(ScheduleKind::kGpipe, 1, 1, 1);
  plan::SideTask side;
  side.op.name = "bucket";
  side.op.stream = plan::Stream::kData;
  side.after = {1, 0.5};
  p.side = {side};
  plan::Op adam;
  adam.name = "adam";
  p.epilogue = {{adam}};
  StepCosts costs = UniformCosts(p.schedule, Costs(4, 4, 2));
  costs.side = {6};
  costs.epilogue = {{5}};
  CHECK(Text(CriticalPath(p, costs)) ==
        "forward 0 F0 0-4, backward 0 B0 4-7, side 0 bucket 7-13, epilogue 0 adam 13-18, ");
  const auto gains = GainsIfFree(p, costs);
  CHECK(GainOf(gains, WorkKind::kSide) == 3);  // the second half of the backward pass shows
  CHECK(GainOf(gains, WorkKind::kEpilogue) == 5);
  CHECK(GainOf(gains, WorkKind::kMessage) == 0);
}

TEST_CASE("the path is unbroken and adds up to the makespan, for every schedule", "[critical_path]") {
  std::mt19937 random(3);
  const auto whole = [&](int least, int most) { return std::uniform_int_distribution<int>(least, most)(random); };
  for (const auto kind : kBuiltKinds) {
    for (int draw = 0; draw < 12; ++draw) {
      const auto shape = LegalShape(kind, whole(1, 8), whole(2, 3), whole(1, 24));
      const auto p =
          PlanOf(plan::BuildSchedule(shape), draw % 2 == 0 ? MessageMode::kOverlapped : MessageMode::kBlocking);
      StepCosts costs = UniformCosts(p.schedule, Costs(3, 4, 2, draw % 3));
      for (double& seconds : costs.task) seconds += 0.125 * whole(0, 8);
      const auto path = CriticalPath(p, costs);
      INFO(plan::NameOf(kind) << " p " << shape.ranks << " m " << shape.microbatches << " draw " << draw);
      const double makespan = Simulate(p, costs, false).makespan;
      REQUIRE(path.front().start == Approx(0).margin(1e-9));
      REQUIRE(path.back().end == Approx(makespan));
      for (std::size_t i = 1; i < path.size(); ++i) REQUIRE(path[i].start == Approx(path[i - 1].end).margin(1e-9));
      double sum = 0;
      for (const double seconds : SecondsByKind(path)) sum += seconds;
      REQUIRE(sum == Approx(makespan));
      for (const Gain& gain : GainsIfFree(p, costs)) {
        REQUIRE(gain.seconds >= -1e-9);
        REQUIRE(gain.seconds <= makespan);
      }
    }
  }
}

TEST_CASE("free forward passes save 1F1B a forward pass per microbatch and stage filled", "[critical_path]") {
  const int p = 4, m = 16;
  const auto played = PlanOf(ScheduleKind::k1f1b, p, 1, m);
  const auto gains = GainsIfFree(played, UniformCosts(played.schedule, Costs(3, 4, 2)));
  CHECK(GainOf(gains, WorkKind::kForward) == 3 * (m + p - 1));
  CHECK(GainOf(gains, WorkKind::kBackward) == 6 * (m + p - 1));
}
