#pragma once

#include <vector>

#include "costmodel/costs.h"
#include "plan/plan.h"
#include "plan/scenario.h"
#include "study/search/block_terms.h"
#include "study/search/in_flight.h"

namespace isochrone::study {

/// The work around the pipeline of those ranks that hold the same layers, in seconds, and their state in bytes. The
/// first such rank stands for all: it has most to wait for at the step's end and least time at its beginning.
struct RankClass {
  int first_rank = 0, ranks = 0;
  // Epilogue in order: up to the tied table's reduction, that reduction, after it up to the gradient norm's barrier,
  // the op that is the barrier, and what follows it.
  double to_tied = 0, tied = 0, to_barrier = 0, barrier = 0, after = 0;
  std::vector<double> reduce;  // [chunk] gradient buckets beside the backward pass, together
  std::vector<int> buckets;    // [chunk]
  double reduce_late = 0;      // gradients that follow the last bucket (experts)
  double gather = 0;           // parameters that the first forward pass waits for, beside the tasks before it
  double prologue = 0;         // what goes before the first task
  double state = 0;            // bytes
};

/// Of a whole layout: its classes, and which rank is in which.
struct StepTerms {
  std::vector<RankClass> classes;
  bool barrier = true;        // the gradient norm makes every rank wait for the last
  std::vector<double> state;  // [rank] bytes
};

/// Prices what plan::AddStepWork puts around the pipeline, and counts what plan::MemoryOf counts besides activations,
/// once for each kind of rank.
///
/// cut        which layers the virtual stages hold
/// in_flight  which rank holds which stages
/// sample     from SampleOf the blocks; used as it likes
StepTerms TermsOfStep(const plan::Scenario& scenario, const StageCut& cut, const InFlight& in_flight,
                      const costmodel::Costs& costs, plan::Plan& sample);

/// A plan with the buffers of the programs and nothing else.
plan::Plan SampleOf(const BlockShape& blocks);

}  // namespace isochrone::study
