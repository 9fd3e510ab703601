#pragma once

#include <cstdint>
#include <vector>

#include "plan/plan.h"
#include "sim/event.h"

namespace isochrone::sim {

/// What goes wrong in a step. Ranks are world ranks of Plan::layout. Everything follows from the seed: the factor of a
/// task on a GPU does not depend on what else is drawn.
struct Disturbances {
  std::uint64_t seed = 1;
  /// Each task on each GPU takes exp(jitter · z) times as long, z standard normal: 0.02 is about 2 % either way.
  double jitter = 0;
  struct SlowGpu {
    int rank = 0;
    double factor = 1;  // on its tasks
  };
  std::vector<SlowGpu> slow_gpus;
  struct SlowLink {
    int rank = 0;       // messages that this GPU's pipeline rank and replica send
    double factor = 1;  // on their time
  };
  std::vector<SlowLink> slow_links;
  struct Pause {
    int rank = 0;
    Seconds at, length;  // it does nothing from `at` on for `length`
  };
  std::vector<Pause> pauses;
};

/// A disturbed step of all GPUs of the layout.
struct DisturbedStep {
  double makespan = 0;               // the slowest replica's, with its epilogue
  double undisturbed = 0;            // the same step when nothing goes wrong
  int slowest_replica = 0;           // data-parallel coordinate
  std::vector<double> pipeline_end;  // [replica] when its last pipeline rank had ended its tasks
  std::vector<double> group_wait;    // [world rank] seconds in which it waited for its tensor · context group
  std::vector<RankUse> ranks;        // of the slowest replica
};

/// Plays every replica of the pipeline. The tp · cp GPUs of a replica's pipeline rank run each task together and wait
/// for the slowest of them; replicas meet before the epilogue, where gradients are reduced. Requires  what Simulate
/// requires; ranks within the layout, whose pp is the schedule's ranks; factors above 0
DisturbedStep Disturb(const plan::Plan& plan, const StepCosts& costs, const Disturbances& disturbances);

}  // namespace isochrone::sim
