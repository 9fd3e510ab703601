#pragma once

#include <string>
#include <vector>

#include "plan/plan.h"
#include "sim/event.h"

namespace isochrone::sim {

/// What a part of the critical path is.
enum class WorkKind : std::uint8_t { kForward, kBackward, kWeight, kOverlapped, kMessage, kSide, kPrologue, kEpilogue };
inline constexpr int kWorkKinds = 8;
const char* NameOf(WorkKind kind);  // "forward", "backward", "weight", …

/// One link of the path: work of `kind` that the end of the step waited for, from `start` to `end`.
struct CriticalStep {
  WorkKind kind = WorkKind::kForward;
  int rank = 0;      // pipeline rank; of a message, its sender's
  plan::Task task;   // of passes and messages
  std::string name;  // of side tasks, prologue and epilogue
  double start = 0, end = 0;
};

/// The chain of work, each part starting when the one before it ended, from the step's start to its end. Where several
/// chains are as long, the one that stays on its rank is followed.
/// Requires what Simulate requires; side tasks do not slow compute (a slowed pass has no single cause).
std::vector<CriticalStep> CriticalPath(const plan::Plan& plan, const StepCosts& costs);

/// Seconds of the path by kind; they add up to the makespan.
std::vector<double> SecondsByKind(const std::vector<CriticalStep>& path);

/// How much shorter the step would be if one kind of work took no time at all, all else in the same order. Gains do not
/// add up: what one kind hides becomes visible when it is gone.
struct Gain {
  WorkKind kind = WorkKind::kForward;
  double seconds = 0;
};
std::vector<Gain> GainsIfFree(const plan::Plan& plan, const StepCosts& costs);

}  // namespace isochrone::sim
