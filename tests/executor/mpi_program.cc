// Run under mpirun by mpi_test.py and two_hosts_test.py: one process for each rank.
//
//   mpi_program equality      plans for as many ranks as there are processes, each equal to one rank
//   mpi_program throw RANK    that rank throws in the second step
//   mpi_program nan RANK      that rank's weights hold a NaN
//   mpi_program wait RANK     that rank prints its process id and stops in the second step, to be killed
#include <atomic>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <stdexcept>
#include <string>
#include <thread>

#include <unistd.h>

#include "base/error.h"
#include "executor/mpi_world.h"
#include "tests/executor/tiny.h"

using namespace isochrone;
using namespace isochrone::executor;

namespace {

std::atomic<bool> ended = false;
void End(int) { ended = true; }

plan::Scenario With(void (*change)(plan::Scenario&)) {
  plan::Scenario s = Tiny();
  s.model.sequence = 16;
  s.batch.sequences = 16;
  change(s);
  return s;
}

void MakeExperts(plan::Scenario& s) {
  s.model.moe = plan::MoeSpec{.experts = 4, .topk = 2, .ffn = 16};
  s.strategy.expert = 2;
}

std::vector<plan::Scenario> ScenariosOf(int ranks) {
  using Change = void (*)(plan::Scenario&);
  std::vector<Change> changes;
  if (ranks == 2) {
    changes = {[](plan::Scenario& s) { s.strategy.tensor = 2; }, [](plan::Scenario& s) { s.strategy.pipeline = 2; },
               [](plan::Scenario& s) {
                 s.strategy.data = 2;
                 s.strategy.optimizer_sharding = plan::Sharding::kZero3;
               },
               [](plan::Scenario& s) { s.strategy.context = 2; }};
  } else if (ranks == 4) {
    changes = {[](plan::Scenario& s) {
                 s.strategy.tensor = s.strategy.pipeline = 2;
                 s.strategy.sequence_parallel = true;
                 s.strategy.schedule = plan::ScheduleKind::kZbH1;
               },
               [](plan::Scenario& s) {
                 s.strategy.data = s.strategy.pipeline = 2;
                 s.strategy.schedule = plan::ScheduleKind::kDualPipe;
                 MakeExperts(s);
               },
               [](plan::Scenario& s) {
                 s.strategy.tensor = s.strategy.data = 2;
                 s.strategy.optimizer_sharding = plan::Sharding::kZero1;
                 MakeMamba(s.model);
               }};
  } else {
    changes = {[](plan::Scenario& s) {
                 s.strategy.tensor = s.strategy.pipeline = s.strategy.data = 2;
                 s.strategy.schedule = plan::ScheduleKind::kInterleaved1f1b;
                 s.strategy.chunks_per_rank = 2;
                 s.strategy.recompute = plan::Recompute::kFull;
               },
               [](plan::Scenario& s) {
                 s.strategy.context = 4;
                 s.strategy.data = 2;
                 s.strategy.optimizer_sharding = plan::Sharding::kZero2;
                 MakeExperts(s);
               }};
  }
  std::vector<plan::Scenario> scenarios;
  for (const Change change : changes) scenarios.push_back(With(change));
  return scenarios;
}

/// How far `many` is from `one`; NaN is as far as can be.
double Farthest(const RunResult& many, const RunResult& one) {
  if (many.losses.size() != one.losses.size() || many.parameters.size() != one.parameters.size()) return HUGE_VAL;
  double worst = 0;
  const auto take = [&](double difference) { worst = difference <= worst ? worst : difference; };
  for (std::size_t i = 0; i < one.losses.size(); ++i) take(std::abs(many.losses[i] / one.losses[i] - 1));
  for (const auto tensors : {&RunResult::gradients, &RunResult::parameters}) {
    for (const auto& [key, value] : one.*tensors) take(Distance((many.*tensors).at(key), value, 1e-8));
  }
  return worst;
}

int Equality(const MpiSession& session) {
  for (const plan::Scenario& s : ScenariosOf(session.Size())) {
    RunOptions options = TinyOptions(s);
    options.interrupted = &ended;
    const auto many = RunAcrossProcesses<double>(session, s, plan::BuildPlan(s), options);
    if (!many) continue;
    const double farthest = Farthest(*many, RunTiny<double>(OneRank(s)));
    std::printf("largest difference from one rank: %.1e\n", farthest);
    if (!(farthest <= 1e-10)) return 1;
  }
  return 0;
}

int Fail(const MpiSession& session, const std::string& how, int rank) {
  plan::Scenario s = With([](plan::Scenario& t) { t.strategy.pipeline = 2; });
  RunOptions options = TinyOptions(s);
  options.interrupted = &ended;
  if (how == "nan" && session.Rank() == rank) {
    options.initial = [](const std::string& key, std::int64_t i) {
      return key == "layer.3.fc1.weight" && i == 5 ? std::numeric_limits<double>::quiet_NaN() : 0.01;
    };
  }
  options.before_op = [&](int at, int step, const plan::Op& op) {
    if (at != rank || step != 1 || op.name != "fc1") return;
    if (how == "throw") throw std::runtime_error("the disk is on fire");
    if (how != "wait") return;
    std::printf("process %d\n", static_cast<int>(getpid()));
    std::fflush(stdout);
    std::this_thread::sleep_for(std::chrono::seconds(60));
  };
  RunAcrossProcesses<double>(session, s, plan::BuildPlan(s), options);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGTERM, End);
  const MpiSession session;
  const std::string what = argc > 1 ? argv[1] : "equality";
  try {
    return what == "equality" ? Equality(session) : Fail(session, what, std::atoi(argv[2]));
  } catch (const Error& e) {
    std::fprintf(stderr, "error: %s\n", e.what());
    std::fflush(stderr);
    session.Abort();
  }
}
