#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "executor/cuda/calls.h"

namespace isochrone::executor::cuda {

class RecorderState;

/// The second form of Calls: a world of ranks in one process without a GPU. Streams are queues of recorded work, which
/// is carried out when a rank synchronises, in any order that streams, events and NCCL allow; a seed chooses. Device
/// memory is host memory, kernels run through what is linked for them, products by kernels::Gemm with the rounding of
/// their format.
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

  /// One operation whose time is asked for.
  struct Work {
    std::string name;                 // of a kernel, a product, "copy", "zero"; of NCCL operations their text
    const Matmul* product = nullptr;  // null: something else
    double bytes = 0;                 // that it reads and writes; of NCCL operations the whole's
    int ranks = 1;                    // that meet
    bool communicates = false;
    bool is_beside = false;  // another stream of the rank is at work when it starts
  };

  struct Options {
    std::uint64_t seed = 0;  // of the order in which work is carried out
    bool computes = true;    // false: order and memory are checked and bytes moved, no number is computed
    /// How long work takes. If given, events tell that time: work starts when its stream, and what it waits for, is
    /// done; streams go on in the order of time, not by chance. If not, an event's time is how much was carried out.
    std::function<double(const Work&)> seconds = {};
    DeviceInfo device = {};
    std::function<DeviceState()> state = {};
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
