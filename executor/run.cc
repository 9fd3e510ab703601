// Ranks as threads of one process.
#include "executor/run.h"

#include <pthread.h>

#include <memory>
#include <string>
#include <thread>

#include "base/error.h"
#include "executor/rank_run.h"
#include "executor/thread_world.h"

namespace isochrone::executor {
namespace {

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
  pthread_setname_np(pthread_self(),
                     ("rank " + std::to_string(id)).c_str());  // for debuggers, and for who counts heaps
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

}  // namespace

template <class T>
RunResult Run(const plan::Scenario& scenario, const plan::Plan& plan, const RunOptions& options) {
  const RunPlan run = PrepareRun(scenario, plan, options);
  ThreadWorld world({.clock = options.clock, .timeout_s = options.timeout_s, .interrupted = options.interrupted});
  std::vector<RankState<T>> states(static_cast<std::size_t>(plan.layout.World()));
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < states.size(); ++i) {
    threads.emplace_back([&, i] { Work<T>(run, static_cast<int>(i), world, states[i]); });
  }
  for (std::thread& t : threads) t.join();
  world.Rethrow();
  std::vector<RankReport> reports;
  for (RankState<T>& s : states) {
    if (s.rank) reports.push_back(ReportOf<T>(*s.rank, std::move(s.records), options.keep_tensors));
    else reports.emplace_back();  // interrupted before it was made
  }
  return ResultOf(scenario, plan, options, reports);
}

template RunResult Run<float>(const plan::Scenario&, const plan::Plan&, const RunOptions&);
template RunResult Run<double>(const plan::Scenario&, const plan::Plan&, const RunOptions&);

}  // namespace isochrone::executor
