#pragma once

#include <vector>

#include "plan/schedule.h"

namespace isochrone::study {

/// What each rank of a schedule holds at the instants that may be its fullest, counted in microbatches: memory is
/// worked out from it for any sizes of stages without walking the order again.
///
/// An instant holds, per chunk, whole activations and (between the two halves of a split backward pass) their rest, and
/// the workspace of a forward pass, of a backward pass, or of both where they run as one. Instants that another one of
/// the same rank and workspace exceeds in every count are left out, so the fullest is kept for any sizes.
struct InFlight {
  struct Instant {
    int forward = -1, backward = -1;  // chunk whose workspace is alive; −1: none
    bool half = false;                // the backward pass is one for inputs alone
  };
  int ranks = 1, chunks = 1, directions = 1;
  std::vector<int> stage;  // [rank · chunks + chunk]
  std::vector<int> first;  // [rank], and one past the last: index of its first instant
  std::vector<Instant> instants;
  std::vector<double> whole, rest;  // [instant · chunks + chunk]
};

using HeldNow = std::vector<int>;  // counts of one instant

/// Adds `now` where no other of `kept` has as much in every count, and drops those that it has as much as.
void KeepFullest(const HeldNow& now, std::vector<HeldNow>& kept);

/// Counts of `schedule`.
InFlight CountInFlight(const plan::Schedule& schedule);

/// A shape with few microbatches that has the counts of `shape`: no schedule but GPipe, which holds them all, holds
/// more with more of them from two for each rank on; of 1F1B and ZB-H1 from one for each, of DualPipe from three.
plan::ScheduleShape ShapeForCounting(const plan::ScheduleShape& shape);

/// Counts of the schedule that plan::BuildSchedule makes of `shape`. Throws Error where the shape is impossible.
InFlight InFlightOf(const plan::ScheduleShape& shape);

/// True where tasks are the two halves of a backward pass.
bool SplitsBackward(plan::ScheduleKind kind);

}  // namespace isochrone::study
