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

/// The keys of Level::kStep.
struct StepKeys {
  plan::Sharding optimizer_sharding = plan::Sharding::kNone;
  int shard_group = 0;
  bool zero2_reduce_every_microbatch = false, overlap_data = false, overlap_parameter_gather = false;
  bool operator==(const StepKeys&) const = default;
};
StepKeys StepKeysOf(const plan::Strategy& strategy);
void SetStepKeys(const StepKeys& keys, plan::Strategy& strategy);

/// What the step keys amount to in this layout: of combinations with one effect all but the first repeat it. ZeRO-2
/// that reduces once a step is ZeRO-1, a shard group of all replicas is none, and so on.
StepKeys EffectOfStep(const plan::Scenario& scenario);

/// True where a key has no effect here (say, sequence parallelism with one tensor rank) and is not at the value that
/// `base` has, its axis's first, so that another combination is the same configuration.
bool RepeatsBlock(const plan::Strategy& strategy, const plan::Strategy& base);
bool RepeatsLayout(const plan::Strategy& strategy, const plan::Strategy& base);
bool RepeatsPipeline(const plan::Strategy& strategy, const plan::Strategy& base);

}  // namespace isochrone::study
