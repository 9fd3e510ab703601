#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/units.h"
#include "plan/scenario.h"

namespace isochrone::study {

/// Measured times of one microbatch on one stage, where a source printed them.
struct StageProfile {
  Seconds forward, backward_input, backward_weight;
  bool operator==(const StageProfile&) const = default;
};

/// One published measurement of training and the scenario that it measured.
struct Row {
  std::string id, family, source, locus;
  int priority = 0;                        // 1: a headline row of its paper
  std::optional<plan::Scenario> scenario;  // none: `reason` says why the row cannot be expressed
  std::string reason;
  std::optional<Seconds> step_time;   // measured
  std::optional<Bytes> memory;        // measured, of the fullest GPU
  std::string memory_kind;            // what the source counted
  std::optional<StageProfile> stage;  // measured
  std::vector<std::string> unstated;  // settings that the source does not give
  std::vector<std::string> assumed;   // what was put in their place, "microbatch = 1"
  std::vector<std::string> ignored;   // keys that are not understood here
};

/// Reads a list of rows in the schema of published training measurements (docs/rows.md). A row that cannot be expressed
/// is returned with its reason; only a file that is no such list throws Error.
///
/// The cluster is made of the usual node of the row's GPU with the row's GPUs and network a node; its name is not read,
/// and neither family nor id changes a scenario.
///
/// Settings that a row leaves open (null, absent or "unstated") follow these rules:
///   microbatch               1 with a pipeline; else 2 where that divides the replica's batch, as Megatron Bridge's
///   recipes
///                            for dense models of that kind (nemotron4_15b_pretrain_config: tp 4, pp 1, microbatch 2)
///   vpp                      interleaved_1f1b: one layer a chunk; else 1
///   schedule against vpp     1f1b with several chunks is interleaved_1f1b, that with one chunk 1f1b
///   schedule                 1f1b
///   recompute                none
///   sequence_parallel        where tp > 1 and the framework is megatron_core
///   zero                     zero1 for megatron_deepspeed and megatron_core, zero3 for fsdp, else none
///   overlap_data_parallel    where the framework is megatron_core or fsdp
///   network a node           that of the usual node of the GPU
/// What the schema has no key for:
///   overlap_tensor           async_tp where given; else megatron_core with sequence parallelism and data overlap
///   overlap_pipeline         zb_1p and zb_2p, whose runtime posts messages and waits where their data are used;
///                            megatron_core with several chunks a rank, its default, in a row that states whether
///                            data-parallel communication overlaps (the zero-bubble authors' script turns it off)
///   release recipes          megatron_core rows that state sequence parallelism and state that data-parallel
///                            communication overlaps list their flags as the release recipes of NeMo and Megatron
///                            Bridge do, and get what those set: pipelined_tensor where tp > 1 with sequence
///                            parallelism (tp_comm_overlap; not with nvfp4, where they turn it off), fused_loss
///                            (cross_entropy_fusion_impl te), gradients in bf16 (grad_reduce_in_fp32 False);
///                            expert_dispatch once_per_rank where NVLink joins several servers (HybridEP);
///                            overlap_expert where experts cross nodes and stages interleave
///                            (overlap_moe_expert_parallel_comm)
///   overlap_parameter_gather zero3 or zero1 of megatron_core, with data overlap
///   framework                fsdp2 for fsdp rows that say whether a compiler ran; its kernels are not fused by hand
///   average_in_collective    true, and check_gradients false, in those recipes
///   fused_squared_relu       false in megatron_core outside recipes, as Megatron-LM had it until 2024
///   gradients                fp16 in Megatron's runs in fp16, else fp32 but for recipes
///   vocabulary               32,000 where the source does not give it (SentencePiece; the parameter counts that such
///                            sources print leave room for no more); padded to a multiple of 128 tp in Megatron's runs
///                            and where tp does not divide it
///   dropout, biases, norms   by framework and MLP: Megatron-LM's dropout 0.1, in megatron_core with GeLU outside
///   recipes;
///                            biases with GeLU outside fsdp; RMS norm
///                            with gated MLPs
std::vector<Row> ReadRows(const std::string& path);

}  // namespace isochrone::study
