#pragma once

#include <string>

#include "plan/schedule.h"

namespace isochrone::plan::schedules {

/// What one schedule file offers; plan/schedule.cc keeps the table.
struct Family {
  ScheduleKind kind;
  const char* name;
  void (*check)(const ScheduleShape&);  // throws Error where the shape is impossible
  Schedule (*build)(const ScheduleShape&, const StageCosts&);
  ScheduleTheory (*theory)(const ScheduleShape&, const StageCosts&);
};

extern const Family kGpipeFamily, k1f1bFamily, kInterleavedFamily, kZbH1Family, kZbH2Family, kZbVFamily, kVHalfFamily,
    kVMinFamily, kDualPipeFamily, kDualPipeVFamily, kZbAuto1pFamily, kZbAuto2pFamily;

/// Error whose place names the shape: "schedule 1f1b: 4 ranks, 2 chunks, 8 microbatches".
[[noreturn]] void Refuse(const ScheduleShape& shape, const std::string& fault, const std::string& instead);

/// Refuses another number of chunks per rank than `chunks`.
void RequireChunks(const ScheduleShape& shape, int chunks, const char* instead);

/// Chunk c of rank r holds stage c · ranks + r.
Placement LoopPlacement(int ranks, int chunks);

/// Two chunks in a V: chunk 0 of rank r holds stage r, chunk 1 stage 2 · ranks − 1 − r.
Placement VPlacement(int ranks);

/// Work of one microbatch on one stage: forward and full backward.
inline Seconds StageTime(const StageCosts& costs) {
  return costs.forward + costs.backward_input + costs.backward_weight;
}

inline Task MakeTask(Phase phase, int microbatch, int chunk = 0) {
  Task task;
  task.phase = phase;
  task.microbatch = microbatch;
  task.chunk = static_cast<std::uint8_t>(chunk);
  return task;
}

}  // namespace isochrone::plan::schedules
