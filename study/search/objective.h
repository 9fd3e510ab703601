#pragma once

#include "study/search/candidate.h"
#include "study/search/space.h"

namespace isochrone::study {

/// Less is better: the step time, or its product with what the objective divides by.
///
///   step_time               t                   seconds
///   tokens_per_s            t / n               n  tokens of a step
///   tokens_per_s_per_gpu    t g / n             g  GPUs that have a rank
///   mfu                     t g peak / flops
///   cost_per_token          t g price / n       USD; price  of a GPU for a second
///   gpu_hours               t g N / n           hours; N  tokens of the training
///   days                    t N / n             days
///
/// base    of `scenario`, counted in Space::bases: prices go with it
double ScoreOf(const Space& space, std::size_t base, const plan::Scenario& scenario, double step_time,
               double model_flops);

/// What training on Space::tokens tokens takes with one configuration, at `step_time`. Requires tokens > 0.
struct Training {
  double steps = 0, days = 0, gpu_hours = 0;
  double usd = 0;  // 0 where no price is given
};
Training TrainingOf(const Space& space, const Candidate& candidate, double step_time);

/// USD for a million tokens. Requires a price (Space::gpu_hour_usd) of its base.
double UsdPerMillionTokens(const Space& space, const Candidate& candidate, double step_time);

}  // namespace isochrone::study
