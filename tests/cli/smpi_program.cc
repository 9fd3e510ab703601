// Run by smpi_test.py, in a process of its own, since SimGrid's engine exists once in it: the executor's MPI form on a
// simulated cluster. Arithmetic, order and messages are real; the network is simulated, and so is the time that compute
// takes: a stated price for each op. The step must end, and each task start, when the network fidelity says.
//
//   smpi_program PIPELINE DATA SCHEDULE OVERSUBSCRIPTION
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <optional>
#include <string>
#include <tuple>

#include <mpi.h>
#include <smpi/smpi.h>
#include <simgrid/s4u.hpp>

#include "base/error.h"
#include "executor/mpi_world.h"
#include "sim/network/network_step.h"
#include "sim/network/simgrid_zone.h"
#include "tests/executor/tiny.h"
#include "tests/sim/network/clusters.h"

using namespace isochrone;
using namespace isochrone::executor;
namespace net = isochrone::sim::network;
namespace s4u = simgrid::s4u;

namespace {

constexpr double kMostDifference = 0.05;  // of the step
constexpr double kFlopsPerSecond = 2e10, kOtherOp = 5e-6;

struct Asked {
  int pipeline = 4, data = 2;
  plan::ScheduleKind schedule = plan::ScheduleKind::k1f1b;
  double oversubscription = 1;
};

plan::Scenario ScenarioOf(const Asked& asked) {
  plan::Scenario s = Tiny();
  s.model.layers = 16;
  s.model.hidden = 64;
  s.model.head_dim = 16;
  s.model.ffn = 256;
  s.model.sequence = 32;
  s.batch.sequences = std::int64_t{8} * asked.data;
  s.strategy.pipeline = asked.pipeline;
  s.strategy.data = asked.data;
  s.strategy.schedule = asked.schedule;
  s.strategy.chunks_per_rank = asked.schedule == plan::ScheduleKind::kInterleaved1f1b ? 2 : 1;
  return s;
}

/// One GPU a node, four nodes a leaf; cards so slow that messages take about as long as passes.
net::ClusterShape ClusterOf(const Asked& asked) {
  net::ClusterShape shape = net::Crossbar(asked.pipeline * asked.data);
  shape.node.nic_bandwidth = BytesPerSecond(100e6);
  if (asked.oversubscription > 1) {
    shape.fabric.kind = net::FabricKind::kFatTree2;
    shape.fabric.nodes_per_leaf = 4;
    shape.fabric.oversubscription = asked.oversubscription;
  }
  return shape;
}

double PriceOf(const plan::Op& op) {
  if (std::holds_alternative<plan::Collective>(op.kind)) return 0;
  const auto* gemm = std::get_if<plan::Gemm>(&op.kind);
  if (gemm == nullptr) return kOtherOp;
  return 2.0 * static_cast<double>(gemm->batch * gemm->m * gemm->n * gemm->k) / kFlopsPerSecond;
}

RunOptions OptionsOf(const plan::Scenario& s) {
  RunOptions options = TinyOptions(s);
  options.keep_tensors = false;
  return options;
}

/// Every rank is a process of SMPI on the host of its number; rank 0's result.
RunResult RunSimulated(const plan::Scenario& s, const plan::Plan& plan, const net::Topology& topology) {
  int argc = 2;
  char name[] = "isochrone", quiet[] = "--log=root.thres:error";
  char* argv[] = {name, quiet, nullptr};
  s4u::Engine engine(&argc, argv);
  // A pipeline message leaves when it is sent, whoever waits for it. A part of a collective is larger and leaves when
  // its receiver asks, as under any MPI. To ask whether a message has left takes no time.
  for (const char* setting : {"smpi/simulate-computation:no", "smpi/async-small-thresh:20000",
                              "smpi/send-is-detached-thresh:20000", "smpi/test:0"}) {
    s4u::Engine::set_config(setting);
  }
  std::map<std::pair<const s4u::Host*, const s4u::Host*>, double> latency;
  net::SimGridZone zone(topology, [&](const s4u::Host* src, const s4u::Host* dst) { return latency.at({src, dst}); });
  const int ranks = topology.Hosts();
  for (int src = 0; src < ranks; ++src) {
    for (int dst = 0; dst < ranks; ++dst) {
      if (src == dst) continue;
      const net::Route route = topology.RouteBetween(src, dst);
      zone.AddRoute(src, dst, route.links);
      latency[{zone.HostAt(src), zone.HostAt(dst)}] = route.latency.value;
    }
  }
  zone.Seal();
  RunOptions options = OptionsOf(s);
  options.simulated_time = MPI_Wtime;
  options.before_op = [](int, int, const plan::Op& op) { s4u::this_actor::sleep_for(PriceOf(op)); };
  std::optional<RunResult> result;
  SMPI_app_instance_register("ranks", nullptr, ranks);
  SMPI_init();
  for (int rank = 0; rank < ranks; ++rank) {
    const s4u::ActorPtr actor = s4u::Actor::init("rank " + std::to_string(rank), zone.HostAt(rank));
    actor->set_property("instance_id", "ranks");
    actor->set_property("rank", std::to_string(rank));
    actor->start([&] {
      const MpiSession session;
      if (auto mine = RunAcrossProcesses<double>(session, s, plan, options)) result = std::move(mine);
    });
  }
  engine.run();
  SMPI_finalize();
  ISO_CHECK_NOTE(result.has_value(), "no rank had a result");
  return *result;
}

/// What each pass costs by the same prices; collectives are messages, and the step's own ops cost theirs.
sim::StepCosts CostsOf(const plan::Plan& plan) {
  const plan::Placement& place = plan.schedule.placement;
  sim::StepCosts costs;
  costs.task.assign(static_cast<std::size_t>(place.ranks) * place.chunks * plan::kPhases, 0);
  for (int slot = 0; slot < place.ranks * place.chunks; ++slot) {
    for (const plan::Section& section : plan.stages[place.stage[slot]].sections) {
      const plan::LayerProgram& program = plan.programs[section.program];
      for (int phase = 0; phase < plan::kPhases; ++phase) {
        for (const plan::Op& op : program.Ops(static_cast<plan::Phase>(phase)))
          costs.task[slot * plan::kPhases + phase] += section.count * PriceOf(op);
      }
    }
  }
  const auto priced = [](const std::vector<std::vector<plan::Op>>& lists) {
    std::vector<std::vector<double>> seconds;
    for (const std::vector<plan::Op>& ops : lists) {
      seconds.emplace_back();
      for (const plan::Op& op : ops) seconds.back().push_back(PriceOf(op));
    }
    return seconds;
  };
  costs.prologue = priced(plan.prologue);
  costs.epilogue = priced(plan.epilogue);
  return costs;
}

using TaskKey = std::tuple<int, plan::Phase, int, int>;  // pipeline rank, phase, chunk, microbatch

std::map<TaskKey, double> StartsOf(const plan::Timeline& timeline, const plan::Plan& plan) {
  const bool world = timeline.ranks == plan::Timeline::Ranks::kWorld;
  std::map<TaskKey, double> starts;
  for (const plan::Span& span : timeline.spans) {
    if (span.kind != plan::SpanKind::kTask) continue;
    const plan::Coordinates at =
        world ? plan::CoordinatesOf(plan.layout, span.rank) : plan::Coordinates{.pp = span.rank};
    if (at.dp == 0) starts[{at.pp, span.task.phase, span.task.chunk, span.task.microbatch}] = span.start;
  }
  return starts;
}

/// The largest difference of a task's start from the prediction, from the first task's start on.
double WorstStart(std::map<TaskKey, double> measured, std::map<TaskKey, double> predicted) {
  ISO_CHECK(measured.size() == predicted.size());
  const auto earliest = [](const auto& starts) {
    double least = INFINITY;
    for (const auto& [key, start] : starts) least = std::min(least, start);
    return least;
  };
  const double zero = earliest(measured), other = earliest(predicted);
  double worst = 0;
  for (const auto& [key, start] : measured)
    worst = std::max(worst, std::abs(start - zero - (predicted.at(key) - other)));
  return worst;
}

int Compare(const Asked& asked) {
  const plan::Scenario s = ScenarioOf(asked);
  const RunResult one = Run<double>(OneRank(s), plan::BuildPlan(OneRank(s)), OptionsOf(s));
  plan::Plan plan = plan::BuildPlan(s);
  ISO_CHECK(plan.side.empty());
  plan.messages = plan::MessageMode::kOverlapped;  // as the executor sends: nobody waits for a message to leave
  const net::Topology topology(ClusterOf(asked));
  const net::NetworkStep predicted = net::SimulateOnNetwork(plan, CostsOf(plan), topology, {}, {.with_timeline = true});
  const RunResult run = RunSimulated(s, plan, topology);
  const double step = predicted.step.makespan, off = run.metrics.makespan.value / step - 1;
  const double worst = WorstStart(StartsOf(run.timeline, plan), StartsOf(predicted.step.timeline, plan)) / step;
  double loss = 0;
  for (std::size_t i = 0; i < one.losses.size(); ++i)
    loss = std::max(loss, std::abs(run.losses[i] / one.losses[i] - 1));
  std::printf("| %d | %d | %d | %s | %.0f:1 | %.3f | %.3f | %+.2f | %.2f | %.0e |\n", topology.Hosts(), asked.pipeline,
              asked.data, plan::NameOf(asked.schedule).c_str(), asked.oversubscription, 1e3 * step,
              1e3 * run.metrics.makespan.value, 100 * off, 100 * worst, loss);
  return std::abs(off) <= kMostDifference && worst <= kMostDifference && loss <= 1e-10 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) return 2;
  try {
    return Compare({std::atoi(argv[1]), std::atoi(argv[2]), static_cast<plan::ScheduleKind>(std::atoi(argv[3])),
                    std::atof(argv[4])});
  } catch (const Error& e) {
    std::fprintf(stderr, "error: %s\n", e.what());
    return 1;
  }
}
