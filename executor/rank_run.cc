#include "executor/rank_run.h"

#include <algorithm>

#include "base/error.h"
#include "executor/measured.h"
#include "executor/supported.h"
#include "kernels/gemm.h"

namespace isochrone::executor {
namespace {

template <class T>
HeldTensor Held(const Parameter<T>& p) {
  HeldTensor tensor{.key = p.key,
                    .elements = static_cast<double>(p.full_rows * p.full_columns),
                    .value_at = {},
                    .value = {},
                    .gradient_at = {},
                    .gradient = {}};
  for (Index i = 0; i < p.Count(); ++i) {
    const double at = static_cast<double>(p.FullIndex(i));
    const bool owned = i >= p.first_owned && i < p.first_owned + p.owned;
    if (p.value || owned) {
      tensor.value_at.push_back(at);
      tensor.value.push_back(
          static_cast<double>(p.value ? p.value->template As<T>()[i] : p.OwnedValue()[i - p.first_owned]));
    }
    if (!owned) continue;
    tensor.gradient_at.push_back(at);
    tensor.gradient.push_back(static_cast<double>(p.OwnedGradient()[i - p.first_owned]));
  }
  return tensor;
}

void Place(const std::vector<double>& at, const std::vector<double>& from, double elements, std::vector<double>& to) {
  to.resize(static_cast<std::size_t>(elements));
  for (std::size_t i = 0; i < at.size(); ++i) to[static_cast<std::size_t>(at[i])] = from[i];
}

void SumSteps(const std::vector<RankReport>& ranks, std::size_t steps, RunResult& result) {
  double previous = 0;
  for (const RankReport& r : ranks) previous = std::max(previous, r.records.front().start);
  for (std::size_t step = 0; step < steps; ++step) {
    double loss = 0, end = 0;
    for (const RankReport& r : ranks) {
      if (r.adds_loss) loss += r.records[step].loss;
      end = std::max(end, r.records[step].end);
    }
    result.losses.push_back(loss);
    result.gradient_norms.push_back(ranks.front().records[step].gradient_norm);
    result.step_seconds.push_back(end - previous);
    previous = end;
  }
}

}  // namespace

RunPlan PrepareRun(const plan::Scenario& scenario, const plan::Plan& plan, const RunOptions& options) {
  CheckSupported(scenario, "the CPU");
  ISO_CHECK(options.steps > 0 && options.tokens && options.threads > 0);
  if (options.threads > 1 && options.clock == ClockKind::kVirtual)
    throw Error("a rank of " + std::to_string(options.threads) + " threads", "has no virtual time", "use --clock wall");
  kernels::SetGemmThreads(1);
  RunPlan run{&scenario, &plan, &options, {}, {}, nullptr};
  for (const plan::LayerProgram& program : plan.programs) {
    run.liveness.push_back(LivenessOf(program));
    run.extents.push_back(ExtentsOf(program));
  }
  if (scenario.model.moe) run.routing = std::make_unique<RoutingTable>(scenario);
  return run;
}

template <class T>
RankReport ReportOf(Rank<T>& rank, std::vector<StepRecord> records, bool keep_tensors) {
  RankReport report;
  report.records = std::move(records);
  report.times = rank.times();
  report.memory = rank.memory().AtPeak();
  report.names = rank.names();
  report.adds_loss = rank.Reports();
  for (const Parameter<T>* p : rank.Parameters()) {
    if (keep_tensors) report.tensors.push_back(Held(*p));
  }
  return report;
}

RunResult ResultOf(const plan::Scenario& scenario, const plan::Plan& plan, const RunOptions& options,
                   const std::vector<RankReport>& ranks) {
  std::size_t steps = static_cast<std::size_t>(options.steps);
  for (const RankReport& r : ranks) steps = std::min(steps, r.records.size());
  if (steps == 0) throw Error("the run", "was interrupted before a step had ended", "give it more time");
  RunResult result;
  result.clock = options.clock;
  result.interrupted = steps < static_cast<std::size_t>(options.steps);
  SumSteps(ranks, steps, result);
  Measure(scenario, plan, ranks, result);
  for (const RankReport& r : ranks) {
    for (const HeldTensor& t : r.tensors) {
      Place(t.value_at, t.value, t.elements, result.parameters[t.key]);
      Place(t.gradient_at, t.gradient, t.elements, result.gradients[t.key]);
    }
  }
  return result;
}

template RankReport ReportOf<float>(Rank<float>&, std::vector<StepRecord>, bool);
template RankReport ReportOf<double>(Rank<double>&, std::vector<StepRecord>, bool);

}  // namespace isochrone::executor
