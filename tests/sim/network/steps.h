#pragma once

#include <catch2/catch.hpp>

#include "sim/network/network_step.h"
#include "tests/sim/network/clusters.h"

namespace isochrone::sim::network {

inline constexpr double kMessage = 25e6;
inline constexpr double kMessageTime = 2.5e-6 + 1e-3;  // over one card of Crossbar and EightGpuNodes

inline plan::Plan PlanOf(plan::ScheduleKind kind, int ranks, int chunks, int microbatches, plan::MessageMode mode) {
  plan::Plan p;
  p.schedule = plan::BuildSchedule({kind, ranks, chunks, microbatches});
  p.layout.pp = ranks;
  p.messages = mode;
  p.message_bytes = Bytes(kMessage);
  return p;
}

inline StepCosts CostsOf(const plan::Plan& p) {
  return UniformCosts(p.schedule, {Seconds(2e-3), Seconds(2.5e-3), Seconds(1.5e-3), Seconds(kMessageTime)});
}

inline const std::vector<EngineChoice> kAll = {EngineChoice::kUncontended, EngineChoice::kMaxMin,
                                               EngineChoice::kSimGrid};

/// Makespan, every rank's busy time and end, and every span as the event engine has them.
inline void CheckEqual(const plan::Plan& p, const StepCosts& costs, const Topology& topology,
                       const std::vector<EngineChoice>& engines, const StepCollectives& inside = {}) {
  const StepResult expected = Simulate(p, costs, true);
  for (const EngineChoice engine : engines) {
    INFO("engine " << static_cast<int>(engine));
    NetworkOptions options;
    options.engine = engine;
    options.with_timeline = true;
    const StepResult got = SimulateOnNetwork(p, costs, topology, {}, options, inside).step;
    CHECK(got.makespan == Approx(expected.makespan).epsilon(1e-6));
    REQUIRE(got.ranks.size() == expected.ranks.size());
    for (std::size_t r = 0; r < got.ranks.size(); ++r) {
      CHECK(got.ranks[r].Sum() == Approx(got.makespan).epsilon(1e-6));
      CHECK(got.ranks[r].busy == Approx(expected.ranks[r].busy).epsilon(1e-6));
      CHECK(got.rank_end[r] == Approx(expected.rank_end[r]).epsilon(1e-6));
    }
    for (std::size_t i = 0; i < expected.timeline.spans.size(); ++i) {
      const plan::Span &a = got.timeline.spans.at(i), &b = expected.timeline.spans[i];
      CHECK(a.rank == b.rank);
      CHECK(a.start == Approx(b.start).margin(1e-8));
      CHECK(a.end == Approx(b.end).margin(1e-8));
    }
  }
}

}  // namespace isochrone::sim::network
