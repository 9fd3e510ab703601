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
/// Gathers and copies have no consumer in the same pass: they stand for those of the next layer, which frameworks fetch
/// while this one computes. What cannot hide so, the first layer's gather and the last one's reduction, is in the
/// step's prologue and epilogue.
/// Source  Rajbhandari et al., arXiv 1910.02054 (ZeRO) and 2104.07857 (ZeRO-Infinity); Zhao et al., arXiv 2304.11277
///         (FSDP, HSDP); Ren et al., arXiv 2101.06840 (ZeRO-Offload).
void AddStateTraffic(const LayerContext& context, LayerProgram& program);

/// True where every microbatch reduces its gradients, so that only shards are kept.
bool ReducesEveryMicrobatch(const Strategy& strategy);

/// Parameters of `program` gathered, and its gradients reduced, as ops outside of any pass.
std::vector<Op> GatherOps(const LayerContext& context, const LayerProgram& program);
std::vector<Op> ReduceOps(const LayerContext& context, const LayerProgram& program);

}  // namespace isochrone::plan
