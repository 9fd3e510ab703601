#pragma once

#include "plan/metrics.h"
#include "plan/plan.h"
#include "plan/scenario.h"

namespace isochrone::plan {

/// What a GPU holds beside tensors, about. Of 80 GiB PyTorch's out-of-memory errors name 79.1 to 79.3 GiB as the whole
/// and 0.5 to 0.7 GiB of the process as not its own (CUDA context, libraries); NCCL's channels and holes between
/// blocks come on top.
inline constexpr Bytes kBesideTensors{2 * kGibi};

/// What tensors may take of a GPU without a warning; of ranks on a CPU, all that they are said to have.
Bytes RoomForTensors(const Gpu& gpu);

/// Whether PyTorch's DistributedDataParallel reduces gradients: the only way in which Megatron-LM overlapped that with
/// the backward pass before its own buffers did (2023), and one without pipelines. Unless gradient_as_bucket_view says
/// otherwise, gradients are copied into its buckets, which stay.
bool ReducesInTorchBuckets(const Strategy& strategy);

/// What one rank holds for the whole step: parameters, gradients and optimizer state as sharding and offload leave
/// them, and what the framework takes; neither activations nor messages.
StageMemory StateOf(const Scenario& scenario, const Plan& plan, int rank);

/// Of a parameter on a rank that uses it, the bytes of parameter, gradient and optimizer state that stay whole on the
/// GPU however many ranks share the rest: a bound from below for StateOf.
Bytes LeastStateOfParameter(const Strategy& strategy);

/// Puts `bytes` where a strategy says: into `on_gpu`, or to the host or the drives of `memory`.
void Place(Bytes bytes, OffloadTarget target, Bytes& on_gpu, StageMemory& memory);

}  // namespace isochrone::plan
