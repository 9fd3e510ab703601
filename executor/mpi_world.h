#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "executor/clock.h"
#include "executor/communicator.h"
#include "executor/run.h"

namespace isochrone::executor {

/// True where this process was started by mpirun or srun as one of several.
bool UnderMpi();

/// MPI from its start to its end; one per process. Ranks are processes, on one machine or several.
class MpiSession {
 public:
  MpiSession();
  ~MpiSession();
  MpiSession(const MpiSession&) = delete;
  MpiSession& operator=(const MpiSession&) = delete;

  int Rank() const { return rank_; }
  int Size() const { return size_; }
  /// Ends every process of the job at once, after a rank has failed and said why.
  [[noreturn]] void Abort() const;

 private:
  int rank_ = 0, size_ = 1;
};

struct MpiOptions {
  double timeout_s = 30;  // of one wait
  /// Set by a signal handler: an interrupt, or the launcher that ends all ranks because one has died.
  const std::atomic<bool>* interrupted = nullptr;
  bool blocks = false;  // waits do not poll: on a simulated cluster, which itself says when nobody can go on
  /// What this rank does now, for errors.
  std::function<std::string()> doing;
};

/// The communicator of this process. Waits poll, so that a rank that died elsewhere is noticed.
template <class T>
std::unique_ptr<Communicator<T>> JoinMpi(const MpiOptions& options, Clock& clock);

/// executor::Run with one process for each rank, by the wall clock. Every process calls it with the same arguments;
/// rank 0 has the result.
///
/// Throws  Error on the rank that failed; its process then calls Abort, which ends the others.
template <class T>
std::optional<RunResult> RunAcrossProcesses(const MpiSession& session, const plan::Scenario& scenario,
                                            const plan::Plan& plan, RunOptions options);

}  // namespace isochrone::executor
