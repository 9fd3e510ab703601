#include "plan/schedules/v_pattern.h"

#include <algorithm>

#include "base/error.h"

namespace isochrone::plan::schedules {

namespace {

constexpr int kPeriod = 6;
constexpr int kNever = 0x7fffffff;

/// The four kinds of pass in the order of VPattern.
enum Kind { kForward0, kForward1, kBackward1, kBackward0, kKinds };
int ChunkOf(int kind) { return kind == kForward1 || kind == kBackward1 ? 1 : 0; }

struct RankState {
  VPattern pattern{};
  std::array<int, kKinds> next{};  // microbatch
  int alive = 0;
  std::vector<std::pair<int, int>> pending;  // weight passes: chunk, microbatch
  std::size_t first_pending = 0;
};

class Squeezer {
 public:
  Squeezer(const ScheduleShape& shape, VPattern (*pattern)(int, int), int cap)
      : shape_(shape), cap_(cap), ranks_(shape.ranks) {
    for (int rank = 0; rank < shape.ranks; ++rank) ranks_[rank].pattern = pattern(shape.ranks, rank);
    for (auto& done : done_) done.assign(static_cast<std::size_t>(shape.ranks) * shape.microbatches, kNever);
  }

  Schedule Run() {
    Schedule schedule{shape_.kind, shape_.microbatches, VPlacement(shape_.ranks), {}};
    schedule.order.resize(shape_.ranks);
    std::size_t left = static_cast<std::size_t>(shape_.ranks) * shape_.microbatches * kPeriod;
    for (int now = 0; left > 0; ++now) {
      bool any = false;
      for (int rank = 0; rank < shape_.ranks; ++rank) {
        if (!Step(rank, now, schedule.order[rank])) continue;
        any = true;
        --left;
      }
      idle_ = any ? 0 : idle_ + 1;
      ISO_CHECK_NOTE(idle_ < 2, "a V pattern came to a halt");
    }
    return schedule;
  }

 private:
  std::size_t Cell(int rank, int microbatch) const {
    return static_cast<std::size_t>(rank) * shape_.microbatches + microbatch;
  }

  /// When the pass's input is there: its neighbour's pass of the same kind, or on the last stage of a kind the rank's
  /// own pass of the kind before.
  bool Ready(int rank, int kind, int now) const {
    const int microbatch = ranks_[rank].next[kind];
    const bool down = kind == kForward0 || kind == kBackward1;  // from rank 0 on
    const int from = down ? rank - 1 : rank + 1;
    const bool own = from < 0 || from >= shape_.ranks;
    if (own && kind == kForward0) return true;
    const int before = own ? kind - 1 : kind;
    if (done_[before][Cell(own ? rank : from, microbatch)] > now) return false;
    return kind < kBackward1 || done_[ChunkOf(kind)][Cell(rank, microbatch)] <= now;
  }

  /// The rank's next pass in the order of the pattern's times; kKinds after the last.
  int NextKind(const RankState& state) const {
    int best = kKinds, least = kNever;
    for (int kind = 0; kind < kKinds; ++kind) {
      const int time = state.pattern[kind] + kPeriod * state.next[kind];
      if (state.next[kind] >= shape_.microbatches || time >= least) continue;
      best = kind;
      least = time;
    }
    return best;
  }

  /// One unit of time of a rank: its next pass, else a weight pass; false where it idles.
  bool Step(int rank, int now, std::vector<Task>& order) {
    RankState& state = ranks_[rank];
    const int kind = NextKind(state);
    const bool forward = kind <= kForward1;
    if (kind < kKinds && Ready(rank, kind, now) && !(forward && state.alive == cap_)) {
      const int microbatch = state.next[kind]++, chunk = ChunkOf(kind);
      done_[kind][Cell(rank, microbatch)] = now + 1;
      order.push_back(MakeTask(forward ? Phase::kForward : Phase::kBackwardInput, microbatch, chunk));
      if (forward) ++state.alive;
      else state.pending.emplace_back(chunk, microbatch);
      return true;
    }
    if (state.first_pending == state.pending.size()) return false;
    const auto [chunk, microbatch] = state.pending[state.first_pending++];
    order.push_back(MakeTask(Phase::kBackwardWeight, microbatch, chunk));
    --state.alive;
    return true;
  }

  const ScheduleShape& shape_;
  int cap_, idle_ = 0;
  std::vector<RankState> ranks_;
  std::array<std::vector<int>, kKinds> done_;  // [kind][rank · microbatches + microbatch] end
};

}  // namespace

Schedule BuildFromVPattern(const ScheduleShape& shape, VPattern (*pattern)(int ranks, int rank), int cap) {
  return Squeezer(shape, pattern, cap).Run();
}

ScheduleTheory VTheory(const ScheduleShape& shape, const StageCosts& costs, VBubble bubble, int cap) {
  const Seconds pass = Max(costs.forward, Max(costs.backward_input, costs.backward_weight));
  const bool exact = costs.forward == pass && costs.backward_input == pass && costs.backward_weight == pass;
  const int work = kPeriod * shape.microbatches;
  return {exact, (work + bubble.makespan) * pass, (work + bubble.span) * pass,
          2 * shape.microbatches * StageTime(costs), double(std::min(cap, 2 * shape.microbatches))};
}

}  // namespace isochrone::plan::schedules
