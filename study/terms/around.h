#pragma once

#include "costmodel/pass_price.h"
#include "plan/schedule.h"
#include "study/terms/stage_terms.h"
#include "study/terms/step_terms.h"

namespace isochrone::study {

/// What surrounds the pipeline of a step whose gradient norm is a barrier. Seconds.
struct AroundTerms {
  double until = 0, barrier = 0;  // from the pipeline's end to the barrier; the op that is the barrier
  double gather = 0;              // from the barrier to where the next pipeline begins
  double data = 0;                // gradients and parameters that nothing hides
};
/// Of all schedules with the same AroundKind alike, whatever their messages take.
AroundTerms TermsAround(plan::ScheduleKind kind, const StageTerms& stages, const StepTerms& step,
                        const costmodel::Slowdowns& beside_data);
/// 0 … kAroundKinds − 1.
int AroundKind(plan::ScheduleKind kind);
inline constexpr int kAroundKinds = 3;

/// A step whose ranks wait for no barrier, after a pipeline of `makespan` seconds of which the ranks' own spans are
/// `late` shorter: from one step to the next on the rank that takes longest, and what of it nothing hides.
struct Period {
  double seconds = 0, data = 0;
};
Period PeriodWithoutBarrier(plan::ScheduleKind kind, double makespan, double late, const StageTerms& stages,
                            const StepTerms& step, const costmodel::Slowdowns& beside_data);

}  // namespace isochrone::study
