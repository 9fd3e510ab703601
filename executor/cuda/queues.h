#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <vector>

#include "executor/cuda/calls.h"
#include "plan/op.h"

namespace isochrone::executor::cuda {

/// The place of one operation: the number-th on its queue. Number 0 is before all.
struct Ticket {
  int queue = 0;
  std::uint64_t number = 0;
};
/// The last operations that used a block of memory: what the next ones must come after.
struct Uses {
  Ticket written;
  std::array<std::uint64_t, plan::kStreams> read{};  // [queue]
};

/// The streams of one rank, one per plan::Stream, and the waits between them. What an operation waits for follows from
/// the memory that it touches; a wait is an event that is recorded when somebody first needs it, or right behind an
/// operation on a communication stream, so that nobody waits for later ones.
class Queues {
 public:
  explicit Queues(Calls& calls);
  ~Queues();
  Queues(const Queues&) = delete;
  Queues& operator=(const Queues&) = delete;

  Stream StreamOf(plan::Stream stream) const { return streams_[static_cast<std::size_t>(stream)]; }
  /// The next operation on `stream` will read (or write) memory with these uses: waits for what it must come after.
  void Before(plan::Stream stream, const Uses& uses, bool writes);
  /// The next operation on `stream` comes after all that was launched on `other`.
  void Follow(plan::Stream stream, plan::Stream other);
  /// The operation was launched: notes it.
  Ticket Launched(plan::Stream stream);
  void Note(Uses& uses, const Ticket& ticket, bool writes) const;
  /// Until all that was launched on all streams is done.
  void Synchronize();

 private:
  struct Mark {
    std::uint64_t number;
    Event event;
  };
  void WaitFor(int queue, const Ticket& ticket);
  const Mark& MarkAt(int queue, std::uint64_t number);
  void Record(int queue);

  Calls& calls_;
  std::array<Stream, plan::kStreams> streams_{};
  std::array<std::uint64_t, plan::kStreams> launched_{};                            // [queue]
  std::array<std::deque<Mark>, plan::kStreams> marks_;                              // [queue], ascending
  std::array<std::array<std::uint64_t, plan::kStreams>, plan::kStreams> waited_{};  // [queue][for queue]
  std::vector<Event> spare_;
};

}  // namespace isochrone::executor::cuda
