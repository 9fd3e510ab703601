#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/units.h"
#include "plan/op.h"
#include "plan/schedule.h"

namespace isochrone::plan {

enum class SpanKind : std::uint8_t { kTask, kMessage, kSide, kPrologue, kEpilogue, kOp };

/// Something that took time on one stream of one rank.
struct Span {
  double start = 0, end = 0;  // seconds since the step began
  std::int32_t rank = 0;      // pipeline rank (event) or world rank (run); the timeline says which
  SpanKind kind = SpanKind::kTask;
  Stream stream = Stream::kCompute;
  Task task;               // kTask, kMessage: whose
  std::int32_t name = -1;  // index into Timeline::names, or -1: the task names it
};

/// What happened, or would happen, in one step. Predicted and measured use the same type.
struct Timeline {
  enum class Ranks : std::uint8_t { kPipeline, kWorld } ranks = Ranks::kPipeline;
  int rank_count = 0;
  std::vector<Span> spans;  // ordered by rank, then stream, then start
  std::vector<std::string> names;
  double end = 0;
};

}  // namespace isochrone::plan
