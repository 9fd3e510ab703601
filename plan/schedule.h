#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/units.h"
#include "plan/program.h"

namespace isochrone::plan {

enum class ScheduleKind : std::uint8_t {
  kGpipe,
  k1f1b,
  kInterleaved1f1b,
  kZbH1,
  kZbH2,
  kZbV,
  kVHalf,
  kVMin,
  kDualPipe,
  kDualPipeV,
  kZbAuto1p,
  kZbAuto2p,
  kText
};
/// "gpipe", "1f1b", "interleaved_1f1b", "zb_h1", … in the order of the enumerators.
const std::vector<std::string>& ScheduleNames();
const std::string& NameOf(ScheduleKind kind);

/// One entry of a rank's order. `chunk` is local to the rank. kOverlapped runs a forward and a backward pass of two
/// microbatches as one (DualPipe): the forward is (chunk, microbatch), the backward (chunk_b, microbatch_b).
struct Task {
  Phase phase = Phase::kForward;
  std::uint8_t chunk = 0, chunk_b = 0;
  std::int32_t microbatch = 0, microbatch_b = 0;
  bool operator==(const Task&) const = default;
};

/// Where the stages live. A pipeline has `ranks` ranks with `chunks` chunks each. Direction 0 flows through stages
/// 0 … stages−1; a bidirectional schedule has direction 1, whose stages are a second copy of the model (`stages`
/// again).
struct Placement {
  int ranks = 1, chunks = 1, stages = 1, directions = 1;
  std::vector<std::int16_t> stage;     // [rank * chunks + chunk]
  std::vector<std::int8_t> direction;  // [rank * chunks + chunk]
  std::vector<std::int32_t> slot;      // [direction * stages + stage] -> rank * chunks + chunk

  int StageOf(int rank, int chunk) const { return stage[rank * chunks + chunk]; }
  int DirectionOf(int rank, int chunk) const { return direction[rank * chunks + chunk]; }
  int SlotOf(int dir, int s) const { return slot[dir * stages + s]; }
  int RankOf(int dir, int s) const { return SlotOf(dir, s) / chunks; }
  int ChunkOf(int dir, int s) const { return SlotOf(dir, s) % chunks; }
  bool operator==(const Placement&) const = default;
};

/// Every rank's tasks in the order in which it runs them.
///
/// Implied edges: Forward(s) after Forward(s−1) of the same microbatch and direction; Backward or BackwardInput(s)
/// after the same of s+1 and after Forward(s); BackwardWeight(s) after BackwardInput(s). Between ranks an edge is a
/// message: activations forward, gradients backward, sent when the producing task ends.
struct Schedule {
  ScheduleKind kind = ScheduleKind::k1f1b;
  int microbatches = 1;
  Placement placement;
  std::vector<std::vector<Task>> order;  // [rank]
  bool operator==(const Schedule&) const = default;
};

/// Times that a schedule may look at when it orders tasks. Unit costs are the default.
struct StageCosts {
  Seconds forward{1}, backward_input{1}, backward_weight{1}, message{0};
  Seconds overlapped{0};  // a forward and a whole backward pass run as one; 0: as long as the two
  double weight_share =
      1;  // of an activation's bytes, those kept from the input to the weight half of its backward pass
};
struct ScheduleShape {
  ScheduleKind kind = ScheduleKind::k1f1b;
  int ranks = 1, chunks = 1, microbatches = 1;
  bool operator==(const ScheduleShape&) const = default;
};

/// Throws Error (place, fault, nearest legal setting) where the shape is impossible for the kind.
void CheckShape(const ScheduleShape& shape);

/// Throws as CheckShape does.
Schedule BuildSchedule(const ScheduleShape& shape, const StageCosts& costs = {});

/// Most microbatches alive at once per slot [rank · chunks + chunk]: from the start of the forward pass to the end of
/// the backward pass, of its weight half where it is split. Follows from the order alone, whatever the costs.
std::vector<int> PeakInFlight(const Schedule& schedule);

/// The same over all chunks of a rank together [rank]: its largest number of microbatch · chunk activations, where of
/// an activation the share `weight_share` is kept between the two halves of a split backward pass.
std::vector<double> PeakActivations(const Schedule& schedule, double weight_share = 1);

/// What a schedule promises with uniform stages and free messages; the event engine must agree.
struct ScheduleTheory {
  bool exact = true;  // makespan and span; false: they are upper bounds
  Seconds makespan;   // of the pipeline part, from the first rank's start to the last rank's end
  Seconds span;       // longest of the ranks' own, first start to last end; zero-bubble papers count the bubble in it
  Seconds ideal;      // work of the busiest rank
  double peak_activations = 0;  // most of PeakActivations(…, weight_share) over all ranks; a bound where not `exact`
};
ScheduleTheory TheoryOf(const ScheduleShape& shape, const StageCosts& costs);

/// Text form: one line per rank in the notation of the pipeline papers, see docs/words.md. Exact both ways.
std::string Print(const Schedule& schedule);
std::string Print(const Task& task);  // "F3", "B0.1", "F4&B2.1"

/// Reads the text form; `name` is the place that messages give. Throws Error. Does not validate.
Schedule ParseSchedule(std::string_view text, const std::string& name);

/// Throws Error naming rank and task: each microbatch passes each chunk once per phase, order can be played without a
/// circle (the message says who waits for whom), messages match first-in-first-out per pair and direction.
void Validate(const Schedule& schedule);

}  // namespace isochrone::plan
