#include "executor/thread_communicator.h"

#include <algorithm>
#include <chrono>
#include <cstring>

#include "base/error.h"
#include "base/text.h"

namespace isochrone::executor {
namespace {

using namespace std::chrono_literals;

constexpr int kSpins = 2000;    // looks at a flag before a thread sleeps, about 10 us
constexpr auto kGlance = 20ms;  // how often a sleeping rank looks for failures
constexpr auto kTurn = 1ms;     // longer than a rank that was woken takes to come for the processor

/// Part `index` of `n` of an array: where it starts.
Index PartStart(Index count, int index, int n) { return count * index / n; }

template <class T>
void SumParts(const std::vector<const Slice<T>*>& members, std::size_t slice, Index begin, Index end, T* out) {
  const std::size_t n = members.size();
  constexpr Index kPiece = 2048;  // stays in the first cache while all members are added
  T sum[kPiece];
  for (Index at = begin; at < end; at += kPiece) {
    const Index length = std::min(kPiece, end - at);
    const T* first = members[0][slice].in + at;
    for (Index i = 0; i < length; ++i) sum[i] = first[i];
    for (std::size_t m = 1; m < n; ++m) {
      const T* next = members[m][slice].in + at;
      for (Index i = 0; i < length; ++i) sum[i] += next[i];
    }
    std::memcpy(out + (at - begin), sum, static_cast<std::size_t>(length) * sizeof(T));
  }
}

template <class T>
void Copy(const T* from, Index count, T* to) {
  if (from != to) std::memcpy(to, from, static_cast<std::size_t>(count) * sizeof(T));
}

}  // namespace

template <class T>
void ThreadCommunicator<T>::Begin() {
  if (clock_.Kind() != ClockKind::kVirtual) return;
  world_.working_.fetch_add(1);
  world_.processor_.lock();
  clock_.Skip();
}

template <class T>
void ThreadCommunicator<T>::End() {
  if (clock_.Kind() != ClockKind::kVirtual) return;
  world_.processor_.unlock();
  world_.working_.fetch_sub(1);
}

template <class T>
ThreadWorld::Meeting& ThreadCommunicator<T>::MeetingOf(const Team& team) {
  ThreadWorld::Meeting*& meeting = meetings_[team.ranks];
  if (meeting == nullptr) meeting = &world_.MeetingOf(team.ranks);
  return *meeting;
}

/// Sleeps until `ready`. The processor is given up meanwhile, and taken again after.
template <class T>
template <class Ready>
void ThreadCommunicator<T>::Wait(std::unique_lock<std::mutex>& lock, std::condition_variable& condition, Ready ready,
                                 const std::string& what) {
  if (ready()) return;
  End();
  try {
    std::uint64_t seen = world_.progress_.load();
    auto since = std::chrono::steady_clock::now();
    while (!ready()) {
      condition.wait_for(lock, kGlance);
      if (ready()) break;
      world_.Check();
      const std::uint64_t now = world_.progress_.load();
      const auto time = std::chrono::steady_clock::now();
      if (now != seen) {
        seen = now;
        since = time;
      } else if (std::chrono::duration<double>(time - since).count() > world_.options_.timeout_s) {
        throw Error("rank " + std::to_string(rank_),
                    what + "; no rank has done anything for " + ThreeDigits(world_.options_.timeout_s) + " s",
                    "check the schedule with `isochrone plan`, or allow more time");
      }
    }
  } catch (...) {
    lock.unlock();
    Begin();
    throw;
  }
  lock.unlock();
  Begin();
  lock.lock();
}

template <class T>
void ThreadCommunicator<T>::GiveWay(ThreadWorld::Mailbox& box) {
  std::unique_lock lock(box.mutex);
  if (clock_.Kind() != ClockKind::kVirtual || box.letters.empty()) return;
  End();
  while (!box.letters.empty() && !world_.Failed()) {
    box.condition.wait_for(lock, kTurn);
    if (world_.working_.load() == 0) break;
  }
  lock.unlock();
  Begin();
}

template <class T>
double ThreadCommunicator<T>::Meet(ThreadWorld::Meeting& meeting, const Team& team, double time) {
  std::unique_lock lock(meeting.mutex);
  meeting.time[static_cast<std::size_t>(team.index)] = time;
  const std::uint64_t round = meeting.round.load();
  if (++meeting.arrived == team.Size()) {
    meeting.arrived = 0;
    meeting.latest = *std::max_element(meeting.time.begin(), meeting.time.end());
    meeting.round.store(round + 1, std::memory_order_release);
    lock.unlock();
    meeting.condition.notify_all();
    clock_.Skip();
    return meeting.latest;
  }
  if (clock_.Kind() == ClockKind::kWall) {
    lock.unlock();
    for (int i = 0; i < kSpins && meeting.round.load(std::memory_order_acquire) == round; ++i) {
    }
    lock.lock();
  }
  Wait(
      lock, meeting.condition, [&] { return meeting.round.load() != round; },
      "waits for the other ranks of a collective");
  clock_.Skip();
  return meeting.latest;
}

template <class T>
template <class Work>
double ThreadCommunicator<T>::Together(ThreadWorld::Meeting& meeting, const Team& team, Work work) {
  const double start = clock_.Now();
  work();
  return Meet(meeting, team, clock_.Now() - start);
}

template <class T>
template <class Shown, class Body>
Exchange ThreadCommunicator<T>::Collect(const Team& team, std::span<const Shown> mine, Body body) {
  const double entered = clock_.Now();
  ThreadWorld::Meeting& meeting = MeetingOf(team);
  meeting.shown[static_cast<std::size_t>(team.index)] = mine.data();
  const double start = Meet(meeting, team, entered);
  clock_.AdvanceTo(start);
  const double begun = clock_.Kind() == ClockKind::kWall ? clock_.Now() : start;
  std::vector<const Shown*> members;
  for (const void* s : meeting.shown) members.push_back(static_cast<const Shown*>(s));
  const double worked = body(meeting, members);
  clock_.AdvanceTo(start + worked);
  world_.Progress();
  const double ended = clock_.Now();
  return {begun - entered, ended - begun};
}

template <class T>
Exchange ThreadCommunicator<T>::AllReduce(const Team& team, std::span<const Slice<T>> slices) {
  return Collect(team, slices, [&](ThreadWorld::Meeting& meeting, const std::vector<const Slice<T>*>& members) {
    const int n = team.Size();
    const double sums = Together(meeting, team, [&] {
      for (std::size_t s = 0; s < slices.size(); ++s) {
        const Index begin = PartStart(slices[s].count, team.index, n);
        SumParts(members, s, begin, PartStart(slices[s].count, team.index + 1, n), slices[s].out + begin);
      }
    });
    return sums + Together(meeting, team, [&] {
             for (std::size_t s = 0; s < slices.size(); ++s) {
               for (int m = 0; m < n; ++m) {
                 const Index begin = PartStart(slices[s].count, m, n), end = PartStart(slices[s].count, m + 1, n);
                 if (m != team.index)
                   Copy(members[static_cast<std::size_t>(m)][s].out + begin, end - begin, slices[s].out + begin);
               }
             }
           });
  });
}

template <class T>
Exchange ThreadCommunicator<T>::ReduceScatter(const Team& team, std::span<const Slice<T>> slices) {
  return Collect(team, slices, [&](ThreadWorld::Meeting& meeting, const std::vector<const Slice<T>*>& members) {
    return Together(meeting, team, [&] {
      for (std::size_t s = 0; s < slices.size(); ++s) {
        const Index part = slices[s].count / team.Size();
        SumParts(members, s, part * team.index, part * (team.index + 1), slices[s].out);
      }
    });
  });
}

template <class T>
Exchange ThreadCommunicator<T>::AllGather(const Team& team, std::span<const Slice<T>> slices) {
  return Collect(team, slices, [&](ThreadWorld::Meeting& meeting, const std::vector<const Slice<T>*>& members) {
    return Together(meeting, team, [&] {
      for (std::size_t s = 0; s < slices.size(); ++s) {
        const Index part = slices[s].count / team.Size();
        for (int m = 0; m < team.Size(); ++m)
          Copy(members[static_cast<std::size_t>(m)][s].in, part, slices[s].out + m * part);
      }
    });
  });
}

template <class T>
Exchange ThreadCommunicator<T>::AllToAll(const Team& team, std::span<const Part<const T>> sent,
                                         std::span<const Part<T>> received) {
  using Sent = Part<const T>;
  return Collect(team, sent, [&](ThreadWorld::Meeting& meeting, const std::vector<const Sent*>& members) {
    return Together(meeting, team, [&] {
      for (std::size_t m = 0; m < members.size(); ++m) {
        const Sent& part = members[m][team.index];
        ISO_CHECK_NOTE(part.count == received[m].count, "parts of another size");
        if (part.count > 0) std::memcpy(received[m].data, part.data, static_cast<std::size_t>(part.count) * sizeof(T));
      }
    });
  });
}

template <class T>
Exchange ThreadCommunicator<T>::Send(int to, const Tag& tag, const T* data, Index count) {
  const double entered = clock_.Now();
  ThreadWorld::Mailbox& box = world_.MailboxOf(rank_, to);
  const std::size_t bytes = static_cast<std::size_t>(count) * sizeof(T);
  GiveWay(box);
  ThreadWorld::Letter letter;
  {
    const std::lock_guard lock(box.mutex);
    letter.data = box.Spare(bytes);
  }
  std::memcpy(letter.data.data(), data, bytes);
  letter.time = clock_.Now();
  const double sent = letter.time;
  {
    const std::lock_guard lock(box.mutex);
    const bool first = box.letters.emplace(tag, std::move(letter)).second;
    ISO_CHECK_NOTE(first, "two messages of one tag");
  }
  box.condition.notify_all();
  world_.Progress();
  return {0, sent - entered};
}

template <class T>
Exchange ThreadCommunicator<T>::Receive(int from, const Tag& tag, T* data, Index count) {
  const double entered = clock_.Now();
  ThreadWorld::Mailbox& box = world_.MailboxOf(from, rank_);
  ThreadWorld::Letter letter;
  {
    std::unique_lock lock(box.mutex);
    Wait(
        lock, box.condition, [&] { return box.letters.count(tag) > 0; },
        "waits for " + NameOf(tag) + " from rank " + std::to_string(from));
    const auto it = box.letters.find(tag);
    letter = std::move(it->second);
    box.letters.erase(it);
  }
  box.condition.notify_all();
  clock_.Skip();
  clock_.AdvanceTo(letter.time);
  const double begun = clock_.Now();
  const std::size_t bytes = static_cast<std::size_t>(count) * sizeof(T);
  ISO_CHECK_NOTE(letter.data.size() == bytes, "a message of another size");
  std::memcpy(data, letter.data.data(), bytes);
  {
    const std::lock_guard lock(box.mutex);
    box.spare.push_back(std::move(letter.data));
  }
  const double ended = clock_.Now();
  return {begun - entered, ended - begun};
}

template class ThreadCommunicator<float>;
template class ThreadCommunicator<double>;

}  // namespace isochrone::executor
