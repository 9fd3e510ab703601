#pragma once

#include "costmodel/collective_profile.h"
#include "plan/collectives/algorithm.h"
#include "plan/layout.h"

namespace isochrone::costmodel {

/// How a collective of this size goes between the nodes of its group: the algorithm of the form that CollectiveTime
/// prices, which is the one that the library takes for the fastest. Rings inside a node and for all but all-reduces.
///
/// size    as plan::Collective::bytes
/// Source  NCCL src/graph/tuning.cc: the least latency + size / bandwidth of ring and tree; see collective.h
plan::collectives::Algorithm AlgorithmOf(const CollectiveProfile& profile, const plan::Cluster& cluster,
                                         const plan::GroupShape& group, plan::CollectiveKind kind, Bytes size);

}  // namespace isochrone::costmodel
