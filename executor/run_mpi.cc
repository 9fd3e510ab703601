// Ranks as processes, one each, under MPI.
#ifdef ISO_HAVE_MPI
#include <mpi.h>
#endif

#include "base/error.h"
#include "executor/mpi_world.h"
#include "executor/rank_run.h"

namespace isochrone::executor {

#ifdef ISO_HAVE_MPI

namespace {

/// The reports of all ranks on rank 0, in order; elsewhere none.
std::vector<RankReport> Gathered(const RankReport& mine, int rank, int size) {
  const std::vector<std::byte> bytes = Pack(mine);
  const int length = static_cast<int>(bytes.size());
  std::vector<int> lengths(static_cast<std::size_t>(size)), starts(lengths.size());
  MPI_Gather(&length, 1, MPI_INT, lengths.data(), 1, MPI_INT, 0, MPI_COMM_WORLD);
  std::vector<std::byte> all;
  if (rank == 0) {
    int sum = 0;
    for (std::size_t i = 0; i < lengths.size(); ++i) {
      starts[i] = sum;
      sum += lengths[i];
    }
    all.resize(static_cast<std::size_t>(sum));
  }
  MPI_Gatherv(bytes.data(), length, MPI_BYTE, all.data(), lengths.data(), starts.data(), MPI_BYTE, 0, MPI_COMM_WORLD);
  std::vector<RankReport> reports;
  for (std::size_t i = 0; rank == 0 && i < lengths.size(); ++i) {
    reports.push_back(
        Unpack(std::span(all).subspan(static_cast<std::size_t>(starts[i]), static_cast<std::size_t>(lengths[i]))));
  }
  return reports;
}

}  // namespace

template <class T>
std::optional<RunResult> RunAcrossProcesses(const MpiSession& session, const plan::Scenario& scenario,
                                            const plan::Plan& plan, RunOptions options) {
  if (session.Size() != plan.layout.World()) {
    throw Error("the launcher",
                "started " + std::to_string(session.Size()) + " processes for a plan of " +
                    std::to_string(plan.layout.World()) + " ranks",
                "start one process for each rank");
  }
  options.clock = ClockKind::kWall;
  const RunPlan run = PrepareRun(scenario, plan, options);
  MPI_Barrier(MPI_COMM_WORLD);  // from here on the clocks of all ranks run
  Clock clock(options.clock, options.simulated_time);
  std::unique_ptr<Rank<T>> rank;
  const auto doing = [&] { return rank ? rank->Doing() : "rank " + std::to_string(session.Rank()); };
  const auto communicator = JoinMpi<T>({.timeout_s = options.timeout_s,
                                        .interrupted = options.interrupted,
                                        .blocks = options.simulated_time != nullptr,
                                        .doing = doing},
                                       clock);
  std::vector<StepRecord> records;
  try {
    rank = std::make_unique<Rank<T>>(run, session.Rank(), *communicator, clock, [] {});
    for (int step = 0; step < options.steps; ++step) records.push_back(rank->Step(step));
    rank->Finish();
  } catch (const Error& e) {
    throw Error(e.where.rfind("rank ", 0) == 0 ? e.where : doing() + ": " + e.where, e.fault, e.instead);
  } catch (const std::exception& e) {
    throw Error(doing(), e.what());
  }
  const std::vector<RankReport> reports =
      Gathered(ReportOf<T>(*rank, std::move(records), options.keep_tensors), session.Rank(), session.Size());
  if (session.Rank() != 0) return std::nullopt;
  return ResultOf(scenario, plan, options, reports);
}

#else

namespace {
[[noreturn]] void Absent() {
  throw Error("MPI", "is not part of this build", "install libopenmpi-dev and openmpi-bin, and build again");
}
}  // namespace

bool UnderMpi() { return false; }
MpiSession::MpiSession() { Absent(); }
MpiSession::~MpiSession() = default;
void MpiSession::Abort() const { Absent(); }

template <class T>
std::optional<RunResult> RunAcrossProcesses(const MpiSession&, const plan::Scenario&, const plan::Plan&, RunOptions) {
  Absent();
}

#endif

template std::optional<RunResult> RunAcrossProcesses<float>(const MpiSession&, const plan::Scenario&, const plan::Plan&,
                                                            RunOptions);
template std::optional<RunResult> RunAcrossProcesses<double>(const MpiSession&, const plan::Scenario&,
                                                             const plan::Plan&, RunOptions);

}  // namespace isochrone::executor
