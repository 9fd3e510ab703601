#include "study/search/in_flight.h"

#include <algorithm>

namespace isochrone::study {
namespace {

using plan::Phase;

/// Counts of one instant: whole and rest by chunk.
struct Counts {
  InFlight::Instant workspace;
  std::vector<double> whole, rest;
};

bool Covers(const Counts& a, const Counts& b) {
  if (a.workspace.forward != b.workspace.forward || a.workspace.backward != b.workspace.backward) return false;
  for (std::size_t c = 0; c < a.whole.size(); ++c) {
    if (a.whole[c] < b.whole[c] || a.rest[c] < b.rest[c]) return false;
  }
  return true;
}

void Keep(const Counts& now, std::vector<Counts>& kept) {
  if (std::any_of(kept.begin(), kept.end(), [&](const Counts& k) { return Covers(k, now); })) return;
  std::erase_if(kept, [&](const Counts& k) { return Covers(now, k); });
  kept.push_back(now);
}

std::vector<Counts> FullestOf(const plan::Schedule& schedule, int rank) {
  const auto chunks = static_cast<std::size_t>(schedule.placement.chunks);
  Counts now{{}, std::vector<double>(chunks, 0), std::vector<double>(chunks, 0)};
  std::vector<Counts> kept;
  for (const plan::Task& task : schedule.order[static_cast<std::size_t>(rank)]) {
    const bool pair = task.phase == Phase::kOverlapped, forward = pair || task.phase == Phase::kForward;
    const int back = pair ? task.chunk_b : task.chunk;
    if (forward) now.whole[task.chunk] += 1;
    now.workspace = {forward ? task.chunk : -1,
                     pair || task.phase == Phase::kBackward || task.phase == Phase::kBackwardInput ? back : -1};
    Keep(now, kept);
    if (pair || task.phase == Phase::kBackward || task.phase == Phase::kBackwardInput)
      now.whole[static_cast<std::size_t>(back)] -= 1;
    if (task.phase == Phase::kBackwardInput) now.rest[task.chunk] += 1;
    if (task.phase == Phase::kBackwardWeight) now.rest[task.chunk] -= 1;
  }
  return kept;
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

plan::ScheduleShape ShapeForCounting(const plan::ScheduleShape& shape) {
  plan::ScheduleShape small = shape;
  const bool grows = shape.kind == plan::ScheduleKind::kGpipe;  // every microbatch is alive at once
  const int settled = 4 * shape.ranks;
  if (!grows && shape.microbatches > 2 * settled) {
    small.microbatches = settled + (shape.microbatches - settled) % shape.ranks;
    small.microbatches += (shape.microbatches - small.microbatches) % 2 == 0 ? 0 : shape.ranks;  // DualPipe wants even
  }
  return small;
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
    for (const Counts& instant : FullestOf(schedule, rank)) {
      counts.instants.push_back(instant.workspace);
      counts.whole.insert(counts.whole.end(), instant.whole.begin(), instant.whole.end());
      counts.rest.insert(counts.rest.end(), instant.rest.begin(), instant.rest.end());
      counts.splits =
          counts.splits || std::any_of(instant.rest.begin(), instant.rest.end(), [](double n) { return n > 0; });
    }
  }
  counts.first.push_back(static_cast<int>(counts.instants.size()));
  return counts;
}

}  // namespace isochrone::study
