#include "study/predict.h"

#include <algorithm>
#include <map>

#include "base/error.h"
#include "base/text.h"
#include "plan/build.h"
#include "plan/state_memory.h"
#include "study/metrics.h"
#include "study/search/analytic_result.h"

namespace isochrone::study {
namespace {

using plan::Phase;

bool LooksAtCosts(plan::ScheduleKind kind) {
  return kind == plan::ScheduleKind::kZbAuto1p || kind == plan::ScheduleKind::kZbAuto2p;
}

plan::Plan PlanOf(const plan::Scenario& scenario, const costmodel::Costs& costs) {
  plan::Blocks blocks = plan::BuildBlocks(scenario);
  plan::StageCosts stage_costs;
  if (LooksAtCosts(scenario.strategy.schedule)) {
    const plan::Strategy& s = scenario.strategy;
    const Seconds message = costs.MessageTime(plan::MessageBytes(scenario), plan::ScattersMessages(s)) +
                            costs.HostOfMessage(plan::MessageModeOf(s));
    stage_costs = MeanStageCosts(blocks.programs, blocks.stages, costs, message);
  }
  return plan::BuildPlan(scenario, std::move(blocks), stage_costs);
}

/// How often a step runs each phase of each slot on `rank`.
std::map<std::pair<int, Phase>, double> PhaseCounts(const plan::Plan& plan, int rank) {
  std::map<std::pair<int, Phase>, double> counts;  // (chunk, phase)
  for (const plan::Task& t : plan.schedule.order[static_cast<std::size_t>(rank)]) {
    const bool pair = t.phase == Phase::kOverlapped;
    const Phase phase = pair ? Phase::kForward : t.phase;
    counts[{t.chunk, phase}] += 1;
    if (phase == Phase::kBackward || phase == Phase::kBackwardInput) counts[{t.chunk, Phase::kRecompute}] += 1;
    if (!pair) continue;
    counts[{t.chunk_b, Phase::kBackward}] += 1;
    counts[{t.chunk_b, Phase::kRecompute}] += 1;
  }
  return counts;
}

std::vector<OperationLine> OperationsOf(const plan::Plan& plan, const Pricing& pricing, int rank) {
  std::map<const plan::Op*, OperationLine> lines;
  for (const auto& [at, n] : PhaseCounts(plan, rank)) {
    const int stage = plan.schedule.placement.StageOf(rank, at.first);
    const auto phase = static_cast<std::size_t>(at.second);
    for (const plan::Section& s : plan.stages[static_cast<std::size_t>(stage)].sections) {
      const plan::LayerProgram& program = plan.programs[static_cast<std::size_t>(s.program)];
      const auto& seconds = pricing.programs[static_cast<std::size_t>(s.program)].op_seconds[phase];
      for (std::size_t i = 0; i < seconds.size(); ++i) {
        const plan::Op& op = program.ops[phase][i];
        OperationLine& line = lines[&op];
        line = {.program = program.name,
                .name = op.name,
                .phase = at.second,
                .op = &op,
                .count = line.count + n * s.count,
                .seconds = seconds[i]};
      }
    }
  }
  const auto r = static_cast<std::size_t>(rank);
  for (std::size_t i = 0; i < plan.epilogue[r].size(); ++i) {
    const plan::Op& op = plan.epilogue[r][i];
    lines[&op] = {.program = "step",
                  .name = op.name,
                  .phase = Phase::kBackward,
                  .op = &op,
                  .count = 1,
                  .seconds = pricing.step.epilogue[r][i]};
  }
  for (std::size_t i = 0; i < plan.side.size(); ++i) {
    const plan::SideTask& side = plan.side[i];
    if (side.rank != rank) continue;
    lines[&side.op] = {.program = "step",
                       .name = side.op.name,
                       .phase = Phase::kBackward,
                       .op = &side.op,
                       .count = 1,
                       .seconds = pricing.step.side[i]};
  }
  std::vector<OperationLine> sorted;
  for (auto& [op, line] : lines) sorted.push_back(std::move(line));
  std::stable_sort(sorted.begin(), sorted.end(), [](const OperationLine& a, const OperationLine& b) {
    if (a.Total() != b.Total()) return a.Total() > b.Total();
    return std::tie(a.program, a.name, a.phase) < std::tie(b.program, b.name, b.phase);
  });
  return sorted;
}

void Warn(Prediction& p) {
  plan::Metrics& m = p.metrics;
  const auto fullest =
      std::max_element(m.memory.begin(), m.memory.end(),
                       [](const plan::StageMemory& a, const plan::StageMemory& b) { return a.Total() < b.Total(); });
  if (fullest != m.memory.end()) {
    const std::string stage = "a GPU of stage " + std::to_string(fullest->stage);
    if (fullest->Total() > m.memory_capacity) {
      m.warnings.push_back("does not fit: " + stage + " needs more than it has");
    } else if (fullest->Total() > plan::RoomForTensors(p.scenario.cluster.node.gpu)) {
      m.warnings.push_back("may not fit: " + stage + " has " + HumanBytes(m.memory_capacity - fullest->Total()) +
                           " to spare; driver, CUDA context, NCCL and holes between blocks take about " +
                           HumanBytes(plan::kBesideTensors));
    }
  }
  const plan::Strategy& strategy = p.scenario.strategy;
  if (plan::ReducesInTorchBuckets(strategy) && strategy.pipeline > 1) {
    m.warnings.push_back("overlap_data: " + strategy.framework +
                         " reduces gradients beside the backward pass only without a pipeline; Megatron Core can");
  }
  m.warnings.insert(m.warnings.end(), p.scenario.notes.begin(), p.scenario.notes.end());
}

/// What the other order of ranks would cost, or nothing where no link is shared or there is no other order.
std::optional<Placement> Elsewhere(const Prediction& p, const PredictOptions& options) {
  const plan::Strategy& strategy = p.scenario.strategy;
  if (p.network->contention.value <= 0 || strategy.data == 1 || strategy.pipeline == 1) return std::nullopt;
  plan::Scenario other = p.scenario;
  const bool data_inner = strategy.rank_order == plan::RankOrder::kDataInner;
  other.strategy.rank_order = data_inner ? plan::RankOrder::kPipelineInner : plan::RankOrder::kDataInner;
  const Prediction there = Predict(other, {.fidelity = Fidelity::kNetwork,
                                           .timeline = false,
                                           .engine = options.engine,
                                           .framework = options.framework,
                                           .elsewhere = false});
  return Placement{other.strategy.rank_order, there.metrics.step_time, p.metrics.step_time - there.metrics.step_time,
                   there.network->contention};
}

/// The event engine's step with compute and side tasks that do not feel each other, as on the network.
sim::StepResult Unslowed(const Prediction& p) {
  sim::StepCosts costs = p.pricing.step;
  costs.compute_slowdown = costs.side_slowdown = 1;
  return sim::Simulate(p.plan, costs, false);
}

/// Adds to `result` what compute and side tasks cost each other: by how much `slowed` is longer than `unslowed`, each
/// rank's parts by theirs, as far as they do not fall below nothing. They still add up to the makespan.
void AddSlowdown(const sim::StepResult& slowed, const sim::StepResult& unslowed, sim::StepResult& result) {
  result.makespan += slowed.makespan - unslowed.makespan;
  for (std::size_t r = 0; r < result.ranks.size(); ++r) {
    sim::RankUse& use = result.ranks[r];
    for (double sim::RankUse::*part : {&sim::RankUse::message, &sim::RankUse::bubble, &sim::RankUse::side,
                                       &sim::RankUse::prologue, &sim::RankUse::epilogue, &sim::RankUse::barrier})
      use.*part = std::max(0.0, use.*part + slowed.ranks[r].*part - unslowed.ranks[r].*part);
    use.busy += result.makespan - use.Sum();
  }
}

/// Plays the step over the network in place of the event engine's; by how much later it ends. What compute and
/// side tasks cost each other is that of the event engine.
Seconds TakeNetwork(Prediction& p, const PredictOptions& options) {
  const sim::StepResult slowed = p.result, unslowed = Unslowed(p);
  plan::Scenario open = p.scenario;
  open.cluster.oversubscription = 1;  // the fabric's links have it
  const costmodel::Costs costs = CostsOf(open, options);
  p.pricing = PriceOf(p.plan, costs);
  p.network = PlayOnNetwork(p.scenario, p.plan, p.pricing, costs, options.engine, options.timeline);
  const sim::network::NetworkStep& played = p.network->step;
  const Seconds later(played.step.makespan - unslowed.makespan);
  p.result = played.step;
  AddSlowdown(slowed, unslowed, p.result);
  p.pricing.step.side = played.side;
  if (!p.plan.prologue.empty()) p.pricing.step.prologue = played.prologue;
  if (!p.plan.epilogue.empty()) p.pricing.step.epilogue = played.epilogue;
  return later;
}

}  // namespace

const std::vector<std::string>& FidelityNames() {
  static const std::vector<std::string> names = {"analytic", "event", "network"};
  return names;
}

costmodel::Costs CostsOf(const plan::Scenario& scenario, const PredictOptions& options) {
  const plan::Strategy& strategy = scenario.strategy;
  const plan::Gpu& gpu = scenario.cluster.node.gpu;
  const auto profile = options.profile ? options.profile : costmodel::ProfileOf(gpu);
  return {scenario.cluster, plan::LayoutOf(scenario), strategy, *profile,
          options.framework
              ? *options.framework
              : costmodel::FrameworkOf(strategy.framework, gpu, strategy.compiled, strategy.optimizer_sharding)};
}

Prediction Predict(const plan::Scenario& scenario, const PredictOptions& options) {
  const costmodel::Costs costs = CostsOf(scenario, options);
  Prediction p;
  p.scenario = scenario;
  p.fidelity = options.fidelity;
  p.plan = PlanOf(scenario, costs);
  p.pricing = PriceOf(p.plan, costs);
  Seconds period;
  if (options.fidelity == Fidelity::kAnalytic) {
    p.result = ResultOf(EstimateOf(scenario), p.plan, p.pricing);
    period = Seconds(p.result.makespan);
  } else {
    p.result = sim::Simulate(p.plan, p.pricing.step, options.timeline);
    period = sim::SteadyPeriod(p.plan, p.pricing.step);
    if (options.fidelity == Fidelity::kNetwork) period += TakeNetwork(p, options);
  }
  p.metrics = MetricsOf(scenario, p.plan, p.pricing, p.result, period, costs.HostTimePerStep());
  if (p.network && options.elsewhere) p.network->elsewhere = Elsewhere(p, options);
  p.operations = OperationsOf(p.plan, p.pricing, p.metrics.reported_rank);
  Warn(p);
  return p;
}

}  // namespace isochrone::study
