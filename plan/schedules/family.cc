#include "plan/schedules/family.h"

#include "base/error.h"

namespace isochrone::plan::schedules {

namespace {

std::string Count(int n, const std::string& word) {
  return std::to_string(n) + " " + word + (n == 1 ? "" : word.back() == 'h' ? "es" : "s");
}

}  // namespace

void Refuse(const ScheduleShape& shape, const std::string& fault, const std::string& instead) {
  throw Error("schedule " + NameOf(shape.kind) + ": " + Count(shape.ranks, "rank") + ", " +
                  Count(shape.chunks, "chunk") + " a rank, " + Count(shape.microbatches, "microbatch"),
              fault, instead);
}

void RequireChunks(const ScheduleShape& shape, int chunks, const char* instead) {
  if (shape.chunks != chunks) Refuse(shape, "has " + Count(shape.chunks, "chunk") + " a rank", instead);
}

Placement LoopPlacement(int ranks, int chunks) {
  Placement placement;
  placement.ranks = ranks;
  placement.chunks = chunks;
  placement.stages = ranks * chunks;
  placement.direction.assign(placement.stages, 0);
  placement.stage.resize(placement.stages);
  placement.slot.resize(placement.stages);
  for (int rank = 0; rank < ranks; ++rank) {
    for (int chunk = 0; chunk < chunks; ++chunk) {
      const int stage = chunk * ranks + rank, slot = rank * chunks + chunk;
      placement.stage[slot] = static_cast<std::int16_t>(stage);
      placement.slot[stage] = slot;
    }
  }
  return placement;
}

Placement VPlacement(int ranks) {
  Placement placement;
  placement.ranks = ranks;
  placement.chunks = 2;
  placement.stages = 2 * ranks;
  placement.direction.assign(placement.stages, 0);
  placement.slot.resize(placement.stages);
  for (int rank = 0; rank < ranks; ++rank) {
    for (const int stage : {rank, 2 * ranks - 1 - rank}) {
      placement.slot[stage] = static_cast<std::int32_t>(placement.stage.size());
      placement.stage.push_back(static_cast<std::int16_t>(stage));
    }
  }
  return placement;
}

}  // namespace isochrone::plan::schedules
