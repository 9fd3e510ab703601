#include "study/terms/in_flight.h"

#include <algorithm>
#include <utility>

namespace isochrone::study {
namespace {

using plan::Phase;

using Instant = InFlight::Instant;

/// Of the instants of one rank with one workspace those that no other exceeds. Counts are whole of every chunk, then
/// rest of every chunk.
class Fullest {
 public:
  explicit Fullest(int chunks)
      : chunks_(chunks), list_(static_cast<std::size_t>(chunks + 1) * static_cast<std::size_t>(2 * chunks + 1), -1) {}

  void Look(Instant workspace, const HeldNow& now) { KeepFullest(now, KeptWith(workspace)); }

  void AppendTo(InFlight& counts) const {
    for (const auto& [workspace, kept] : kept_) {
      for (const HeldNow& k : kept) {
        const auto middle = k.begin() + chunks_;
        counts.instants.push_back(workspace);
        counts.whole.insert(counts.whole.end(), k.begin(), middle);
        counts.rest.insert(counts.rest.end(), middle, k.end());
      }
    }
  }

 private:
  std::vector<HeldNow>& KeptWith(Instant workspace) {
    const int back = workspace.backward + 1 + (workspace.half ? chunks_ : 0);
    int& list = list_[static_cast<std::size_t>((workspace.forward + 1) * (2 * chunks_ + 1) + back)];
    if (list < 0) {
      list = static_cast<int>(kept_.size());
      kept_.push_back({workspace, {}});
    }
    return kept_[static_cast<std::size_t>(list)].second;
  }

  int chunks_;
  std::vector<int> list_;  // [workspace] index into kept_; -1: none yet
  std::vector<std::pair<Instant, std::vector<HeldNow>>> kept_;
};

Fullest FullestOf(const plan::Schedule& schedule, int rank) {
  const int chunks = schedule.placement.chunks;
  Fullest fullest(chunks);
  HeldNow now(2 * static_cast<std::size_t>(chunks), 0);
  const auto hold = [&](int chunk, int whole, int rest) {
    now[static_cast<std::size_t>(chunk)] += whole;
    now[static_cast<std::size_t>(chunks + chunk)] += rest;
  };
  for (const plan::Task& task : schedule.order[static_cast<std::size_t>(rank)]) {
    const bool pair = task.phase == Phase::kOverlapped, forward = pair || task.phase == Phase::kForward;
    const bool backward = pair || task.phase == Phase::kBackward || task.phase == Phase::kBackwardInput;
    const int back = pair ? task.chunk_b : task.chunk;
    if (forward) hold(task.chunk, 1, 0);
    const bool half = task.phase == Phase::kBackwardInput;
    fullest.Look({forward ? task.chunk : -1, backward ? back : -1, half}, now);
    if (backward) hold(back, -1, half ? 1 : 0);
    if (task.phase == Phase::kBackwardWeight) hold(task.chunk, 0, -1);
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

void KeepFullest(const HeldNow& now, std::vector<HeldNow>& kept) {
  const auto covers = [](const HeldNow& a, const HeldNow& b) {
    return std::equal(a.begin(), a.end(), b.begin(), [](int x, int y) { return x >= y; });
  };
  for (std::size_t i = 0; i < kept.size(); ++i) {
    if (!covers(kept[i], now)) continue;
    std::swap(kept[i], kept[0]);  // the steady state comes back to it
    return;
  }
  std::erase_if(kept, [&](const HeldNow& k) { return covers(now, k); });
  kept.push_back(now);
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
  const auto for_each_rank = [&] {
    switch (shape.kind) {
      case plan::ScheduleKind::k1f1b:
      case plan::ScheduleKind::kZbH1:
        return 1;
      case plan::ScheduleKind::kDualPipe:
        return 3;
      default:
        return 2;
    }
  };
  if (shape.kind == plan::ScheduleKind::kGpipe) return shape;
  plan::ScheduleShape small = shape;
  small.microbatches = std::min(shape.microbatches, for_each_rank() * shape.ranks);
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
