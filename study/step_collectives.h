#pragma once

#include "sim/network/task_collective.h"
#include "study/pricing.h"

namespace isochrone::study {

/// How every all-reduce goes between nodes, as the cost model prices it; and the collectives inside every kind of task
/// over groups that span nodes, as the pass prices place them: each starts where its op does and is needed where the
/// first op starts that comes after it, at the latest where its pass ends.
///
/// Where another microbatch's pass hides them (expert all-to-alls beside the other direction, overlapped pairs of
/// tasks), those of one stream and group are one that starts and ends with its task and takes no longer than it.
///
/// `cluster` lives as long as the result.
sim::network::StepCollectives StepCollectivesOf(const plan::Cluster& cluster, const plan::Plan& plan,
                                                const Pricing& pricing, const costmodel::Costs& costs);

}  // namespace isochrone::study
