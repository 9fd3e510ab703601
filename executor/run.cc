#include "executor/run.h"

#include <algorithm>
#include <thread>

#include "base/error.h"
#include "executor/measured.h"
#include "executor/thread_world.h"
#include "kernels/gemm.h"

namespace isochrone::executor {
namespace {

void CheckSupported(const plan::Scenario& s) {
  const auto refuse = [&](const std::string& key, const std::string& what, const std::string& instead) {
    throw Error(s.file + ": /strategy/" + key, what, instead);
  };
  const plan::Strategy& strategy = s.strategy;
  if (s.model.kv_heads % strategy.tensor != 0)
    refuse("tensor", "the CPU does not copy key heads over tensor ranks",
           "use a degree that divides kv_heads = " + std::to_string(s.model.kv_heads));
  if (strategy.context > 1 && strategy.context_form == plan::ContextForm::kUlysses &&
      s.model.kv_heads / strategy.tensor % strategy.context != 0)
    refuse("context", "the CPU does not copy key heads over context ranks",
           "use a degree that divides the " + std::to_string(s.model.kv_heads / strategy.tensor) +
               " key heads of a tensor rank, or context_form ring");
}

template <class T>
struct RankState {
  Clock clock{ClockKind::kWall};
  std::unique_ptr<Communicator<T>> communicator;
  std::unique_ptr<Rank<T>> rank;
  std::vector<StepRecord> records;
};

/// The body of one rank's thread. `rank` is made here, so that its memory is touched by its own thread first.
template <class T>
void Work(const RunPlan& run, int id, ThreadWorld& world, RankState<T>& state) {
  const RunOptions& options = *run.options;
  state.clock = Clock(options.clock);
  state.communicator = world.Join<T>(id, state.clock);
  state.communicator->Begin();
  try {
    state.rank = std::make_unique<Rank<T>>(run, id, *state.communicator, state.clock, [&world] {
      world.Progress();
      world.Check();
    });
    for (int step = 0; step < options.steps; ++step) state.records.push_back(state.rank->Step(step));
    state.rank->Finish();
  } catch (const Stopped&) {
  } catch (const Error& e) {
    const std::string doing = state.rank ? state.rank->Doing() : "rank " + std::to_string(id);
    world.Fail(e.where.rfind("rank ", 0) == 0 ? e.where : doing + ": " + e.where, e.fault, e.instead);
  } catch (const std::exception& e) {
    world.Fail(state.rank ? state.rank->Doing() : "rank " + std::to_string(id), e.what(), "");
  }
  state.communicator->End();
}

template <class T>
void KeepTensors(RankState<T>& state, RunResult& result) {
  for (Parameter<T>* p : state.rank->Parameters()) {
    std::vector<double>&w = result.parameters[p->key], &g = result.gradients[p->key];
    w.resize(static_cast<std::size_t>(p->full_rows * p->full_columns));
    g.resize(w.size());
    for (Index i = 0; i < p->Count(); ++i) {
      const auto at = static_cast<std::size_t>(p->FullIndex(i));
      const bool owned = i >= p->first_owned && i < p->first_owned + p->owned;
      if (p->value) w[at] = static_cast<double>(p->value->template As<T>()[i]);
      else if (owned) w[at] = static_cast<double>(p->OwnedValue()[i - p->first_owned]);
      if (owned) g[at] = static_cast<double>(p->OwnedGradient()[i - p->first_owned]);
    }
  }
}

template <class T>
void SumSteps(const std::vector<RankState<T>>& states, RunResult& result) {
  double previous = 0;
  for (const RankState<T>& s : states) previous = std::max(previous, s.records.front().start);
  for (std::size_t step = 0; step < states.front().records.size(); ++step) {
    double loss = 0, end = 0;
    for (const RankState<T>& s : states) {
      if (s.rank->Reports()) loss += s.records[step].loss;
      end = std::max(end, s.records[step].end);
    }
    result.losses.push_back(loss);
    result.gradient_norms.push_back(states.front().records[step].gradient_norm);
    result.step_seconds.push_back(end - previous);
    previous = end;
  }
}

}  // namespace

template <class T>
RunResult Run(const plan::Scenario& scenario, const plan::Plan& plan, const RunOptions& options) {
  CheckSupported(scenario);
  ISO_CHECK(options.steps > 0 && options.tokens);
  kernels::SetGemmThreads(1);
  RunPlan run{&scenario, &plan, &options, {}, {}, nullptr};
  for (const plan::LayerProgram& program : plan.programs) {
    run.liveness.push_back(LivenessOf(program));
    run.extents.push_back(ExtentsOf(program));
  }
  if (scenario.model.moe) run.routing = std::make_unique<RoutingTable>(scenario);

  ThreadWorld world({.clock = options.clock, .timeout_s = options.timeout_s, .interrupted = options.interrupted});
  std::vector<RankState<T>> states(static_cast<std::size_t>(plan.layout.World()));
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < states.size(); ++i) {
    threads.emplace_back([&, i] { Work<T>(run, static_cast<int>(i), world, states[i]); });
  }
  for (std::thread& t : threads) t.join();
  world.Rethrow();

  RunResult result;
  result.clock = options.clock;
  SumSteps(states, result);
  std::vector<RankView> views;
  for (const RankState<T>& s : states)
    views.push_back({&s.records, &s.rank->times(), &s.rank->memory(), &s.rank->names()});
  Measure(scenario, plan, views, result);
  if (options.keep_tensors) {
    for (RankState<T>& s : states) KeepTensors(s, result);
  }
  return result;
}

template RunResult Run<float>(const plan::Scenario&, const plan::Plan&, const RunOptions&);
template RunResult Run<double>(const plan::Scenario&, const plan::Plan&, const RunOptions&);

}  // namespace isochrone::executor
