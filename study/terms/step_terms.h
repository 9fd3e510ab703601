#pragma once

#include <cstdint>
#include <vector>

#include "costmodel/costs.h"
#include "plan/plan.h"
#include "plan/scenario.h"
#include "study/terms/block_terms.h"
#include "study/terms/in_flight.h"

namespace isochrone::study {

/// The work around the pipeline of ranks in a row that hold the same layers, in seconds. The first of them stands for
/// all: it has most to wait for at the step's end and least time at its beginning.
struct RankClass {
  int first_rank = 0, ranks = 0;
  double state = 0;  // bytes
  // Epilogue in order: up to the tied table's reduction, that reduction, after it up to the gradient norm's barrier,
  // the op that is the barrier, and what follows it.
  double to_tied = 0, tied = 0, to_barrier = 0, barrier = 0, after = 0;
  double reduce_late = 0;  // gradients that follow the last bucket (experts)
  double gather = 0;       // parameters that the first forward pass waits for, beside the tasks before it
  double gathers = 0;      // of all chunks, the first included
  int gather_count = 0;    // into how many the first chunk's are cut
  double prologue = 0;     // what goes before the first task
};

/// Gradient buckets of one chunk beside its backward pass.
struct Buckets {
  int kind = 0;  // of the chunk's stage
  int count = 0;
  double reduce = 0;  // seconds of each
};

/// Of a whole layout, class after class. Small, because a search goes through very many of them.
struct StepTerms {
  std::vector<RankClass> classes;
  std::vector<Buckets> buckets;  // [class · chunks + chunk]
  int ranks = 1, chunks = 1;
  bool barrier = true;  // the gradient norm makes every rank wait for the last
  bool beside = false;  // gradients are reduced beside the backward pass
};

/// Prices what plan::StepWorkOf puts around the pipeline, and counts what plan::MemoryOf counts besides activations,
/// once for each kind of rank.
///
/// cut        which layers the virtual stages hold
/// in_flight  which rank holds which stages
/// sample     from SampleOf the blocks; used as it likes
StepTerms TermsOfStep(const plan::Scenario& scenario, const StageCut& cut, const InFlight& in_flight,
                      const costmodel::Costs& costs, plan::Plan& sample);

/// A plan with the parameters of the programs and nothing else.
plan::Plan SampleOf(const BlockShape& blocks);

}  // namespace isochrone::study
