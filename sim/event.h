#pragma once

#include <array>
#include <vector>

#include "base/units.h"
#include "plan/plan.h"
#include "plan/timeline.h"

namespace isochrone::sim {

/// Costs of one step, as the engine needs them: per slot (pipeline rank · chunks + chunk) and phase, one number;
/// messages by the stage they leave; side tasks, prologue and epilogue ops one number each, in the order of the plan.
/// They may come from the cost model, from a measured run, or from a test. All in seconds, none negative.
struct StepCosts {
  std::vector<double> task;  // [slot * kPhases + phase]; recomputation belongs to the backward pass, unless the order
                             // has recompute tasks
  /// kOverlapped: seconds for (forward slot, backward slot) on the same rank, [rank * chunks² + chunk_f * chunks +
  /// chunk_b]; empty where the schedule overlaps none
  std::vector<double> overlapped;
  std::vector<double> forward_message;   // [direction * stages + stage]: from `stage` to stage + 1; empty: free
  std::vector<double> backward_message;  // [direction * stages + stage]: from `stage` to stage − 1; empty: free
  double message_host = 0;               // of each message that crosses a link, what the host takes on any network
  std::vector<double> side;              // [Plan::side]
  std::vector<std::vector<double>> prologue, epilogue;  // [pipeline rank][op]
  /// While a rank computes and a side task of it runs, compute takes `compute_slowdown` times as long and the side task
  /// `side_slowdown` times. 1: they do not feel each other.
  double compute_slowdown = 1, side_slowdown = 1;
};

/// Where each rank's time went, in seconds; the parts add up to the makespan.
struct RankUse {
  double busy = 0;                    // tasks, with their slowdown by side tasks and what is `late`
  double message = 0;                 // held by, or waiting for, a message in flight
  double bubble = 0;                  // waiting for work that had not been sent, and after the rank's own last work
  double side = 0;                    // waiting for a side task
  double prologue = 0, epilogue = 0;  // ops
  double barrier = 0;                 // waiting in prologue or epilogue for another rank
  /// Of busy, by stream: waiting for collectives inside tasks beyond what the tasks cost (network fidelity).
  std::array<double, plan::kStreams> late{};
  double Sum() const { return busy + message + bubble + side + prologue + epilogue + barrier; }
};

struct StepResult {
  double makespan = 0;
  std::vector<RankUse> ranks;
  std::vector<double> rank_begin;   // when each rank's first task started
  std::vector<double> rank_end;     // when each rank had done its last work
  std::vector<int> peak_in_flight;  // plan::PeakInFlight
  plan::Timeline timeline;          // empty unless asked for
};

/// The same costs for every stage: a full backward pass takes both halves, an overlapped pair its two passes' sum
/// unless `costs` says otherwise.
StepCosts UniformCosts(const plan::Schedule& schedule, const plan::StageCosts& costs);

/// Plays a plan forward: one representative GPU per pipeline rank.
///
/// A task starts when its rank's compute stream is free and its inputs have arrived (plan/schedule.h says which). A
/// rank's messages leave one after the other on its pipeline stream, in the order of its tasks.
///   kOverlapped  a message starts when the task has ended and the pipeline stream is free.
///   kBlocking    a message starts when the task has ended and holds the sender's compute stream; the receiver's is
///   held
///                as long, from when both the message has started and the receiver has ended its task before. What a
///                rank sends and receives between two tasks goes at once (Megatron's batched send and receive), so the
///                steady state of 1F1B takes a stage and two messages per microbatch.
/// Side tasks run on their own stream in the order of the plan; one on the compute stream holds it. Without anchors
/// they start with the step and end before the epilogue. In prologue and epilogue, collectives over kEmbedding wait for
/// the other rank that has one. With Plan::epilogue_barrier, those over kPipeline, kModel and kWorld wait for every
/// rank; if the epilogue has none of these, it starts together. Ties cannot arise: each rank's order is given. The same
/// input always gives the same bytes.
///
/// Requires  plan::Validate(plan.schedule) passed; costs have the plan's sizes
/// Throws    Error naming the ranks that wait for each other, if none can move
StepResult Simulate(const plan::Plan& plan, const StepCosts& costs, bool with_timeline);

/// Time from one step's end to the next when steps follow each other and only the epilogue's barriers and the
/// microbatches themselves hold ranks together: the makespan, or less where ranks that end early start the next step.
Seconds SteadyPeriod(const plan::Plan& plan, const StepCosts& costs);

}  // namespace isochrone::sim
