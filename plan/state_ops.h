#pragma once

#include <string>

#include "plan/layout.h"
#include "plan/op.h"
#include "plan/strategy.h"

namespace isochrone::plan {

/// The ops that move a layer's or a rank's state: within passes (plan/layer_traffic.h) and around the pipeline
/// (plan/step_program.h).

/// A collective of `elements` numbers on the data stream.
Op DataOp(const std::string& name, CollectiveKind kind, Group group, double elements, Dtype dtype);

/// Reduced gradient shards over the copies of a shard group (HSDP): of `elements` gradients before sharding.
Op ShardsOverCopies(const Layout& layout, double elements, Dtype wire);

/// Experts' gradients, reduced over the ranks that hold the same experts.
Op ExpertReduction(CollectiveKind kind, double elements, Dtype wire);

/// A copy between GPU, host and drives.
Op CopyOp(const std::string& name, TransferKind kind, Bytes bytes);

/// A copy out of the GPU to `target`, or into it from there. Requires a target.
Op OffloadCopy(const std::string& name, OffloadTarget target, bool out, Bytes bytes);

}  // namespace isochrone::plan
