#include "study/metrics.h"

#include <algorithm>
#include <cmath>

#include "plan/memory.h"
#include "plan/step_flops.h"
#include "study/interval.h"

namespace isochrone::study {
namespace {

using plan::Attribution;
using plan::Phase;
using plan::Stream;

Seconds& KindOf(Attribution& a, Stream stream) {
  switch (stream) {
    case Stream::kCompute:
      return a.compute;
    case Stream::kTensor:
      return a.tensor;
    case Stream::kContext:
      return a.context;
    case Stream::kExpert:
      return a.expert;
    case Stream::kPipeline:
      return a.pipeline;
    case Stream::kData:
      return a.data;
    case Stream::kCopy:
      return a.copy;
  }
  return a.compute;
}

void AddPass(const costmodel::PassPrice& pass, double times, bool again, Attribution& a) {
  (again ? a.recompute : a.compute) += Seconds(times * pass.compute);
  for (std::size_t s = 1; s < plan::kStreams; ++s)
    KindOf(a, static_cast<Stream>(s)) += Seconds(times * pass.exposed[s]);
}

/// Adds one phase of one stage, `times` over.
void AddStage(const plan::Plan& plan, const Pricing& pricing, int stage, Phase phase, double times, Attribution& a) {
  for (const plan::Section& s : plan.stages[static_cast<std::size_t>(stage)].sections) {
    const ProgramPrice& price = pricing.programs[static_cast<std::size_t>(s.program)];
    if (phase == Phase::kBackward || phase == Phase::kBackwardInput) {
      AddPass(price.pass[static_cast<std::size_t>(Phase::kRecompute)], times * s.count, true, a);
    }
    AddPass(price.pass[static_cast<std::size_t>(phase)], times * s.count, phase == Phase::kRecompute, a);
  }
}

/// What a rank's tasks are made of, each alone on its GPU. An overlapped pair shrinks in proportion to what it hides.
Attribution TasksOf(const plan::Plan& plan, const Pricing& pricing, int rank) {
  const plan::Placement& place = plan.schedule.placement;
  const int chunks = place.chunks;
  std::vector<double> times(static_cast<std::size_t>(chunks * plan::kPhases), 0);
  std::vector<double> pairs(static_cast<std::size_t>(chunks * chunks), 0);
  for (const plan::Task& t : plan.schedule.order[static_cast<std::size_t>(rank)]) {
    if (t.phase == Phase::kOverlapped) {
      pairs[static_cast<std::size_t>(t.chunk * chunks + t.chunk_b)] += 1;
    } else {
      times[static_cast<std::size_t>(t.chunk * plan::kPhases + static_cast<int>(t.phase))] += 1;
    }
  }
  Attribution a;
  for (int chunk = 0; chunk < chunks; ++chunk) {
    for (int phase = 0; phase < plan::kPhases; ++phase) {
      const double n = times[static_cast<std::size_t>(chunk * plan::kPhases + phase)];
      if (n > 0) AddStage(plan, pricing, place.StageOf(rank, chunk), static_cast<Phase>(phase), n, a);
    }
    for (int other = 0; other < chunks; ++other) {
      const double n = pairs[static_cast<std::size_t>(chunk * chunks + other)];
      if (n == 0) continue;
      Attribution both;
      AddStage(plan, pricing, place.StageOf(rank, chunk), Phase::kForward, n, both);
      AddStage(plan, pricing, place.StageOf(rank, other), Phase::kBackward, n, both);
      const double played =
          n * pricing.step.overlapped[static_cast<std::size_t>((rank * chunks + chunk) * chunks + other)];
      const double compute = (both.compute + both.recompute).value, hidden = both.Sum().value - compute;
      const double left = hidden > 0 ? std::max(0.0, played - compute) / hidden : 0;
      a.compute += both.compute;
      a.recompute += both.recompute;
      for (std::size_t s = 1; s < plan::kStreams; ++s) {
        KindOf(a, static_cast<Stream>(s)) += left * KindOf(both, static_cast<Stream>(s));
      }
    }
  }
  return a;
}

void AddEpilogue(const plan::Plan& plan, const Pricing& pricing, int rank, Attribution& a) {
  for (const bool first : {true, false}) {
    const auto& ops = (first ? plan.prologue : plan.epilogue)[static_cast<std::size_t>(rank)];
    const auto& seconds = (first ? pricing.step.prologue : pricing.step.epilogue)[static_cast<std::size_t>(rank)];
    for (std::size_t i = 0; i < ops.size(); ++i) {
      (ops[i].stream == Stream::kCompute ? a.optimizer : KindOf(a, ops[i].stream)) += Seconds(seconds[i]);
    }
  }
}

/// The rank with the most work; its instants are the step's.
int BusiestRank(const sim::StepResult& result) {
  const auto busier = [](const sim::RankUse& a, const sim::RankUse& b) { return a.busy < b.busy; };
  return static_cast<int>(std::max_element(result.ranks.begin(), result.ranks.end(), busier) - result.ranks.begin());
}

Attribution AttributionOf(const plan::Plan& plan, const Pricing& pricing, const sim::StepResult& result, int rank,
                          Seconds period, Seconds host) {
  const sim::RankUse& use = result.ranks[static_cast<std::size_t>(rank)];
  Attribution a = TasksOf(plan, pricing, rank);
  for (std::size_t s = 1; s < plan::kStreams; ++s) KindOf(a, static_cast<Stream>(s)) += Seconds(use.late[s]);
  a.data += Seconds(use.busy) - a.Sum();  // tasks are slower while gradients are reduced beside them
  a.pipeline += Seconds(use.message);
  a.data += Seconds(use.side);
  AddEpilogue(plan, pricing, rank, a);
  a.bubble += Seconds(use.bubble + use.barrier) - (Seconds(result.makespan) - period);
  a.host += host;
  return a;
}

}  // namespace

plan::Metrics MetricsOf(const plan::Scenario& scenario, const plan::Plan& plan, const Pricing& pricing,
                        const sim::StepResult& result, Seconds period, Seconds host) {
  plan::Metrics m;
  m.makespan = Seconds(result.makespan) + host;
  m.step_time = period + host;
  m.reported_rank = BusiestRank(result);
  m.attribution = AttributionOf(plan, pricing, result, m.reported_rank, period, host);
  const Range range = IntervalOf(scenario, m.step_time);
  m.low = range.low;
  m.high = range.high;

  const double tokens = static_cast<double>(scenario.batch.sequences * scenario.model.sequence);
  m.tokens_per_s = tokens / m.step_time.value;
  const plan::StepFlops flops = plan::FlopsOfStep(plan);
  m.model_flops = flops.model;
  m.hardware_flops = flops.hardware;
  const double gpus = plan.layout.World();
  const FlopsPerSecond peak = costmodel::PeakRate(scenario.cluster.node.gpu, scenario.strategy.precision);
  m.model_tflops_per_gpu = m.model_flops.value / m.step_time.value / gpus / kTera;
  m.mfu = m.model_flops / m.step_time / gpus / peak;
  m.hfu = m.hardware_flops / m.step_time / gpus / peak;

  const double ideal = result.ranks[static_cast<std::size_t>(m.reported_rank)].busy;
  m.bubble_over_ideal = ideal > 0 ? m.attribution.bubble.value / ideal : 0;
  m.bubble_over_total = m.attribution.bubble / m.step_time;

  m.memory = plan::MemoryOf(scenario, plan);
  m.memory_capacity = scenario.cluster.node.gpu.memory;
  return m;
}

}  // namespace isochrone::study
