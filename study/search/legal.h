#pragma once

#include "plan/scenario.h"
#include "study/search/space.h"

namespace isochrone::study {

/// Whether plan::Check would pass, and whether the configuration differs from all before it, in three parts that are
/// asked as early as a search knows enough. No exceptions, no allocation but in the first.

/// tensor, context, experts, formats against model and GPU. Asks plan::Check with the smallest layout.
bool LegalBlock(const plan::Scenario& scenario);

/// Degrees against GPUs, experts and batch. Requires Complete returned true.
bool LegalLayout(const Space& space, const plan::Scenario& scenario);

/// Stages against layers, schedule against its shape.
bool LegalPipeline(const plan::Scenario& scenario, const Constraints& constraints = {});

/// State sharding against the data ranks.
bool LegalStep(const plan::Scenario& scenario);

/// True where a key has no effect here (say, overlap of gradient reduction with one replica) and is not at the value
/// that `base` has, its axis's first, so that another combination is the same configuration.
bool RepeatsBlock(const plan::Strategy& strategy, const plan::Strategy& base);
bool RepeatsPipeline(const plan::Strategy& strategy, const plan::Strategy& base);
bool RepeatsStep(const plan::Strategy& strategy, const plan::Strategy& base);

}  // namespace isochrone::study
