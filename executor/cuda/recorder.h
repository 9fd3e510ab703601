#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "executor/cuda/calls.h"

namespace isochrone::executor::cuda {

class RecorderState;

/// The second form of Calls: a world of ranks in one process without a GPU. Streams are queues of recorded work, which
/// is carried out when a rank synchronises, in any order that streams, events and NCCL allow; a seed chooses. Device
/// memory is host memory, kernels run through what is linked for them, products by kernels::Gemm.
///
/// Checks, each with an Error that names rank, operation and both sides:
///   - an access to memory that another stream wrote (or, to write, read) without a wait between them;
///     memory outside all allocations; memory freed twice or left behind
///   - one NCCL operation of a rank at a time, in the order in which its host launched them: if the ranks' orders do
///     not agree, or a send and its receive (or two that cross) are not in one group where they must be, nothing can
///     move, and the error says who waits for whom
///   - counts that differ between the two ends of a message, or the members of a collective
///   - groups left open, work or events on streams that are gone, streams, events and communicators left behind
class Recorder {
 public:
  /// What was recorded, counted over all ranks.
  struct Counts {
    std::size_t kernels = 0, products = 0, copies = 0, waits = 0, messages = 0, paired = 0, collectives = 0, groups = 0;
  };

  struct Options {
    std::uint64_t seed = 0;  // of the order in which work is carried out
    bool computes = true;    // false: order and memory are checked and bytes moved, no number is computed
  };

  explicit Recorder(const Options& options);
  ~Recorder();

  /// The calls of one rank.
  std::unique_ptr<Calls> Join(int rank);
  /// The n-th call from now on, over all ranks, fails as a library would; 0: none does.
  void FailAt(std::size_t call);
  std::size_t CallsMade() const;
  /// The call that was made to fail; empty: none yet.
  const std::string& FailedCall() const;
  const Counts& Counted() const;
  /// Throws Error if a rank left memory, a stream, an event or a communicator behind, or work undone.
  void CheckNothingLeft() const;

 private:
  std::unique_ptr<RecorderState> state_;
};

}  // namespace isochrone::executor::cuda
