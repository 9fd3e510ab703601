#pragma once

#include "plan/program.h"
#include "plan/tape.h"

namespace isochrone::plan {

/// Adds to a layer's passes what its state asks of other GPUs, host and drives while it computes:
///
///   zero3                 forward and backward (or recompute): parameters gathered over the shard group; backward:
///                         gradients reduce-scattered, and with several copies (HSDP) their shards all-reduced
///   zero2, each microbatch  backward: gradients reduce-scattered (zero2 without a pipeline, or by choice with one)
///   offload_parameters    forward and backward: this rank's share from host or drives
///   offload_gradients     backward: this rank's share to host or drives
///   offload_activations   forward: what is kept goes out; backward: it comes back
///
/// How a layer is gathered goes by the framework: FSDP at once, FSDP2 at once with copies apart, DeepSpeed by
/// parameter, and then again for the backward pass after a recomputed forward one that used more parameters than are
/// kept; its lists are copied, its gradients averaged, on the stream of its collectives.
///
/// Gathers and copies have no consumer in the same pass: they stand for those of the next layer, which frameworks fetch
/// while this one computes; without overlap_parameter_gather, or overlap_data for reductions, they follow its compute.
/// What cannot hide so, the first layer's gather and the last one's reduction, is in the step's prologue and epilogue.
///
/// Source  Rajbhandari et al., arXiv 1910.02054 (ZeRO) and 2104.07857 (ZeRO-Infinity); Zhao et al., arXiv 2304.11277
///         (FSDP, HSDP); Ren et al., arXiv 2101.06840 (ZeRO-Offload); DeepSpeed, deepspeed/runtime/zero/stage3.py.
void AddStateTraffic(const LayerContext& context, LayerProgram& program);

/// True where every microbatch reduces its gradients, so that only shards are kept.
bool ReducesEveryMicrobatch(const Strategy& strategy);

/// Parameters of `program` gathered, and its gradients reduced, as ops outside of any pass.
std::vector<Op> GatherOps(const LayerContext& context, const LayerProgram& program);
std::vector<Op> ReduceOps(const LayerContext& context, const LayerProgram& program);

}  // namespace isochrone::plan
