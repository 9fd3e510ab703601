#include "study/search/in_flight.h"

#include <algorithm>
#include <utility>

namespace isochrone::study {
namespace {

using plan::Phase;

/// Counts of one instant: whole of every chunk, then rest of every chunk.
using Counts = std::vector<int>;

/// What a rank holds, and of the instants with one workspace those that no other exceeds.
class Fullest {
 public:
  explicit Fullest(int chunks)
      : chunks_(chunks),
        now_(2 * static_cast<std::size_t>(chunks), 0),
        list_(static_cast<std::size_t>(chunks + 1) * static_cast<std::size_t>(2 * chunks + 1), -1) {}

  void Hold(int chunk, int whole, int rest) {
    now_[static_cast<std::size_t>(chunk)] += whole;
    now_[static_cast<std::size_t>(chunks_ + chunk)] += rest;
  }

  void Look(InFlight::Instant workspace) {
    std::vector<Counts>& kept = KeptWith(workspace);
    for (std::size_t i = 0; i < kept.size(); ++i) {
      if (!Covers(kept[i], now_)) continue;
      std::swap(kept[i], kept[0]);  // the steady state comes back to it
      return;
    }
    std::erase_if(kept, [&](const Counts& k) { return Covers(now_, k); });
    kept.push_back(now_);
  }

  void AppendTo(InFlight& counts) {
    for (auto& [workspace, kept] : kept_) {
      for (const Counts& k : kept) {
        const auto middle = k.begin() + chunks_;
        counts.instants.push_back(workspace);
        counts.whole.insert(counts.whole.end(), k.begin(), middle);
        counts.rest.insert(counts.rest.end(), middle, k.end());
        counts.splits = counts.splits || std::any_of(middle, k.end(), [](int n) { return n > 0; });
      }
    }
  }

 private:
  static bool Covers(const Counts& a, const Counts& b) {
    return std::equal(a.begin(), a.end(), b.begin(), [](int x, int y) { return x >= y; });
  }

  std::vector<Counts>& KeptWith(InFlight::Instant workspace) {
    const int back = workspace.backward + 1 + (workspace.half ? chunks_ : 0);
    int& list = list_[static_cast<std::size_t>((workspace.forward + 1) * (2 * chunks_ + 1) + back)];
    if (list < 0) {
      list = static_cast<int>(kept_.size());
      kept_.push_back({workspace, {}});
    }
    return kept_[static_cast<std::size_t>(list)].second;
  }

  int chunks_;
  Counts now_;
  std::vector<int> list_;  // [workspace] index into kept_; -1: none yet
  std::vector<std::pair<InFlight::Instant, std::vector<Counts>>> kept_;
};

Fullest FullestOf(const plan::Schedule& schedule, int rank) {
  Fullest fullest(schedule.placement.chunks);
  for (const plan::Task& task : schedule.order[static_cast<std::size_t>(rank)]) {
    const bool pair = task.phase == Phase::kOverlapped, forward = pair || task.phase == Phase::kForward;
    const bool backward = pair || task.phase == Phase::kBackward || task.phase == Phase::kBackwardInput;
    const int back = pair ? task.chunk_b : task.chunk;
    if (forward) fullest.Hold(task.chunk, 1, 0);
    const bool half = task.phase == Phase::kBackwardInput;
    fullest.Look({forward ? task.chunk : -1, backward ? back : -1, half});
    if (backward) fullest.Hold(back, -1, half ? 1 : 0);
    if (task.phase == Phase::kBackwardWeight) fullest.Hold(task.chunk, 0, -1);
  }
  return fullest;
}

}  // namespace

bool SplitsBackward(plan::ScheduleKind kind) {
  switch (kind) {
    case plan::ScheduleKind::kGpipe:
    case plan::ScheduleKind::k1f1b:
    case plan::ScheduleKind::kInterleaved1f1b:
      return false;
    default:
      return true;
  }
}

InFlight CountInFlight(const plan::Schedule& schedule) {
  const plan::Placement& place = schedule.placement;
  InFlight counts;
  counts.ranks = place.ranks;
  counts.chunks = place.chunks;
  counts.directions = place.directions;
  for (int rank = 0; rank < place.ranks; ++rank) {
    for (int chunk = 0; chunk < place.chunks; ++chunk) counts.stage.push_back(place.StageOf(rank, chunk));
    counts.first.push_back(static_cast<int>(counts.instants.size()));
    FullestOf(schedule, rank).AppendTo(counts);
  }
  counts.first.push_back(static_cast<int>(counts.instants.size()));
  return counts;
}

plan::ScheduleShape ShapeForCounting(const plan::ScheduleShape& shape) {
  if (shape.kind == plan::ScheduleKind::kGpipe) return shape;
  plan::ScheduleShape small = shape;
  const bool soon = shape.kind == plan::ScheduleKind::k1f1b || shape.kind == plan::ScheduleKind::kZbH1;
  small.microbatches = std::min(shape.microbatches, (soon ? 1 : 3) * shape.ranks);
  const bool even = shape.kind == plan::ScheduleKind::kDualPipe || shape.kind == plan::ScheduleKind::kDualPipeV;
  if (even && (shape.microbatches - small.microbatches) % 2 != 0) ++small.microbatches;
  return small;
}

InFlight InFlightOf(const plan::ScheduleShape& shape) {
  plan::ScheduleShape small = ShapeForCounting(shape);
  if (shape.kind != plan::ScheduleKind::kGpipe) return CountInFlight(plan::BuildSchedule(small));
  small.microbatches = 1;  // the others are held beside it
  InFlight counts = CountInFlight(plan::BuildSchedule(small));
  for (double& whole : counts.whole) whole *= shape.microbatches;
  return counts;
}

}  // namespace isochrone::study
