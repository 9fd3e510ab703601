#pragma once

#include "tests/executor/tiny.h"

namespace isochrone::executor {

/// Every schedule with the chunks that it needs and the microbatches that it takes.
struct ScheduleCase {
  plan::ScheduleKind kind;
  int chunks;
  int MicrobatchesOf(int ranks) const { return 2 * ranks; }
};
inline constexpr ScheduleCase kScheduleCases[] = {
    {plan::ScheduleKind::kGpipe, 1},     {plan::ScheduleKind::k1f1b, 1},     {plan::ScheduleKind::kInterleaved1f1b, 2},
    {plan::ScheduleKind::kZbH1, 1},      {plan::ScheduleKind::kZbH2, 1},     {plan::ScheduleKind::kZbV, 2},
    {plan::ScheduleKind::kVHalf, 2},     {plan::ScheduleKind::kVMin, 2},     {plan::ScheduleKind::kDualPipe, 2},
    {plan::ScheduleKind::kDualPipeV, 2}, {plan::ScheduleKind::kZbAuto1p, 1}, {plan::ScheduleKind::kZbAuto2p, 1}};

inline plan::Scenario ScenarioOf(const ScheduleCase& c, int pipeline, int tensor, int data) {
  plan::Scenario s = Tiny();
  s.strategy.precision = s.strategy.gradient_dtype = s.strategy.gradient_reduce_dtype = plan::Dtype::kFp32;
  s.strategy.schedule = c.kind;
  s.strategy.chunks_per_rank = c.chunks;
  s.strategy.pipeline = pipeline;
  s.strategy.tensor = tensor;
  s.strategy.data = data;
  s.model.layers = pipeline * c.chunks;
  s.batch.sequences = c.MicrobatchesOf(pipeline) * data;
  return s;
}

}  // namespace isochrone::executor
