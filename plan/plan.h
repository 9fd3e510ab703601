#pragma once

#include <string>
#include <vector>

#include "plan/layout.h"
#include "plan/program.h"
#include "plan/schedule.h"

namespace isochrone::plan {

/// A point in a rank's order: `progress` of the way through task `task` (0: its start, 1: its end).
/// kStepStart and kStepEnd stand for before the first and after the last task.
struct Anchor {
  static constexpr int kStepStart = -1, kStepEnd = -2, kNone = -3;
  int task = kNone;
  double progress = 1;
  bool operator==(const Anchor&) const = default;
};

/// Work beside the pipeline's own tasks: a gradient bucket, a parameter gather, an offload copy. It starts when its
/// stream is free and `after` is reached, and `before` waits for its end.
struct SideTask {
  int rank = 0;  // pipeline rank
  Op op;
  Anchor after, before;
  bool operator==(const SideTask&) const = default;
};

/// How pipeline messages behave. kOverlapped: on their own stream, beside compute. kBlocking: sender and receiver hold
/// their compute stream meanwhile (Megatron's batched send/receive).
enum class MessageMode : std::uint8_t { kOverlapped, kBlocking };

/// What every rank does in one step. Says what and in which order, never how long.
struct Plan {
  Layout layout;
  std::vector<LayerProgram> programs;
  std::vector<StageContent> stages;  // [virtual stage], forward order
  Schedule schedule;
  MessageMode messages = MessageMode::kBlocking;
  Bytes message_bytes;                  // per microbatch and rank, between stages
  bool message_scatter_gather = false;  // sent as 1/tp by each tensor rank, then gathered inside the node
  std::vector<SideTask> side;
  std::vector<std::vector<Op>> prologue;  // [pipeline rank], before the first task
  std::vector<std::vector<Op>> epilogue;  // [pipeline rank], after the last task and all side tasks
  bool epilogue_barrier = true;           // the gradient norm makes every pipeline rank wait for the last
  bool operator==(const Plan&) const = default;
};

}  // namespace isochrone::plan
