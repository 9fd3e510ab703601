#pragma once

#include <map>
#include <string>

#include "executor/thread_world.h"

namespace isochrone::executor {

/// Ranks as threads of one process. A collective works in the members' own arrays: each sums its part of everybody's,
/// then copies the other parts; in an all-to-all each copies what is meant for it. A message is copied once, by the
/// sender.
template <class T>
class ThreadCommunicator final : public Communicator<T> {
 public:
  ThreadCommunicator(ThreadWorld& world, int rank, Clock& clock) : world_(world), rank_(rank), clock_(clock) {}

  Exchange AllReduce(const Team& team, std::span<const Slice<T>> slices) override;
  Exchange ReduceScatter(const Team& team, std::span<const Slice<T>> slices) override;
  Exchange AllGather(const Team& team, std::span<const Slice<T>> slices) override;
  Exchange AllToAll(const Team& team, std::span<const Part<const T>> sent, std::span<const Part<T>> received) override;
  Exchange Send(int to, const Tag& tag, const T* data, Index count) override;
  Exchange Receive(int from, const Tag& tag, T* data, Index count) override;
  void Begin() override;
  void End() override;

 private:
  /// All members meet and show a time; the largest of them comes back.
  double Meet(ThreadWorld::Meeting& meeting, const Team& team, double time);
  /// The same for one part of the work: `work` runs, then all meet. Returns the longest work.
  template <class Work>
  double Together(ThreadWorld::Meeting& meeting, const Team& team, Work work);
  /// Shows `mine` to the others, waits for them, does the work; `body(meeting, what the members show)` returns the
  /// longest work of any member.
  template <class Shown, class Body>
  Exchange Collect(const Team& team, std::span<const Shown> mine, Body body);
  template <class Ready>
  void Wait(std::unique_lock<std::mutex>& lock, std::condition_variable& condition, Ready ready,
            const std::string& what);
  /// In virtual time, lets the others work until the last message of this mailbox has been read, or none of them can
  /// work: as on a machine where both ends work at once, a message waits while the next is made, not all of them.
  void GiveWay(ThreadWorld::Mailbox& box);
  ThreadWorld::Meeting& MeetingOf(const Team& team);

  ThreadWorld& world_;
  int rank_;
  Clock& clock_;
  std::map<std::vector<int>, ThreadWorld::Meeting*> meetings_;
};

extern template class ThreadCommunicator<float>;
extern template class ThreadCommunicator<double>;

}  // namespace isochrone::executor
