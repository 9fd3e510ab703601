#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "kernels/types.h"

namespace isochrone::executor {

using kernels::Index;

/// Ranks that work together, ascending, and where this rank stands among them. Equal lists are the same team.
struct Team {
  std::vector<int> ranks;
  int index = 0;
  int Size() const { return static_cast<int>(ranks.size()); }
};

/// One array of a collective; several go as one.
///
///   all-reduce       in (count)  → out (count), the sum over ranks; out may be in
///   reduce-scatter   in (count)  → out (count / n), this rank's part of the sum; out may be in + index count / n
///   all-gather       in (count / n), this rank's part → out (count); in may be out + index count / n
///
/// count  elements of the whole; a multiple of the team's size for the last two
template <class T>
struct Slice {
  const T* in = nullptr;
  T* out = nullptr;
  Index count = 0;
};

/// What goes to or comes from one member of a team in an all-to-all.
template <class T>
struct Part {
  T* data = nullptr;
  Index count = 0;
};

/// Which message: activations or their gradients, of which stage's output and which microbatch. On a ring (direction
/// kRing) messages are numbered instead.
struct Tag {
  static constexpr int kRing = -1;
  bool backward = false;
  int direction = 0, stage = 0, microbatch = 0;
  auto operator<=>(const Tag&) const = default;
};
/// "the activations of microbatch 3", for messages to people.
std::string NameOf(const Tag& tag);

/// Seconds by the rank's clock: until every member had come, and the exchange itself.
struct Exchange {
  double waited = 0, worked = 0;
};

/// How one rank reaches the others. Every call is made by the rank's own thread; every member of a team makes the same
/// calls in the same order. Sums are taken in the order of ranks, so all members get the same bits.
///
/// Throws  Error naming rank and peer when nothing has moved for the time-out; Stopped when another rank has failed.
template <class T>
class Communicator {
 public:
  virtual ~Communicator() = default;

  virtual Exchange AllReduce(const Team& team, std::span<const Slice<T>> slices) = 0;
  virtual Exchange ReduceScatter(const Team& team, std::span<const Slice<T>> slices) = 0;
  virtual Exchange AllGather(const Team& team, std::span<const Slice<T>> slices) = 0;

  /// `sent[i]` goes to member i, `received[i]` comes from it; what member i sends here has `received[i].count`
  /// elements. A member's part to itself is copied.
  virtual Exchange AllToAll(const Team& team, std::span<const Part<const T>> sent,
                            std::span<const Part<T>> received) = 0;

  /// Leaves at once: the message is copied.
  virtual Exchange Send(int to, const Tag& tag, const T* data, Index count) = 0;
  /// Waits for the message of that tag.
  virtual Exchange Receive(int from, const Tag& tag, T* data, Index count) = 0;

  /// A rank that computes in virtual time holds the processor between these two.
  virtual void Begin() = 0;
  virtual void End() = 0;
};

}  // namespace isochrone::executor
