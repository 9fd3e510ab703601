#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "plan/op.h"

namespace isochrone::plan {

enum class BufferKind : std::uint8_t { kParameter, kGradient, kOptimizer, kActivation, kWorkspace, kCommunication };
const char* NameOf(BufferKind kind);

/// How long a buffer lives. kTask: within one pass. kMicrobatch: from a microbatch's forward pass to the end of its
/// backward pass (these are the activations in flight). kStep: a gradient. kPersistent: a parameter, optimizer state.
enum class Lifetime : std::uint8_t { kTask, kMicrobatch, kStep, kPersistent };

struct Buffer {
  std::string name;
  std::vector<std::int64_t> shape;  // of this rank's shard, slowest first
  Dtype dtype = Dtype::kBf16;
  BufferKind kind = BufferKind::kActivation;
  Lifetime lifetime = Lifetime::kTask;
  /// Parameters and gradients: shards over the expert group's own data-parallel group, not the dense one.
  bool expert = false;
  /// Parameters: split over tp along this axis (of the full tensor); -1: the same on every rank of the group.
  int sharded_axis = -1;
  /// Parameters: each tensor rank sees only part of the rows that use it (sequence parallelism), so gradients must be
  /// added over tp.
  bool partial_over_tensor = false;
  /// Another layer's buffer of the same name on this rank (a tied table); counted there.
  bool borrowed = false;
  /// Small statistics (mean, rstd, log-sum-exp) that the papers' memory tables leave out.
  bool statistic = false;

  double Elements() const;
  Bytes Size() const { return Elements() * SizeOf(dtype); }
  bool operator==(const Buffer&) const = default;
};

/// What a task may ask a layer to do. kBackward = kBackwardInput then kBackwardWeight, interleaved as frameworks do it.
/// kRecompute: the forward ops that must run again before the backward pass can start.
enum class Phase : std::uint8_t { kForward, kRecompute, kBackward, kBackwardInput, kBackwardWeight, kOverlapped };
inline constexpr int kPhases = 6;
const char* NameOf(Phase phase);

/// One kind of layer on one rank: its buffers and, per phase, its ops. Built once per (kind, degrees, microbatch shape,
/// recompute, precision) and used for every layer of that kind.
///
/// Ports: `input` enters the forward pass (another layer's output, or tokens), `output` leaves it;
/// `output_gradient` enters the backward pass, `input_gradient` leaves it. -1 where there is none.
struct LayerProgram {
  std::string name;  // "embedding", "transformer", "moe", "mamba", "mlp", "attention", "head", …
  std::vector<Buffer> buffers;
  std::array<std::vector<Op>, kPhases> ops;
  int input = -1, output = -1, output_gradient = -1, input_gradient = -1;
  double parameters = 0;         // local, dense
  double expert_parameters = 0;  // local, expert
  Flops model_flops;  // forward and backward of one microbatch on this rank, nothing recomputed, attention as `causal`
                      // says

  const std::vector<Op>& Ops(Phase phase) const { return ops[static_cast<std::size_t>(phase)]; }
  std::vector<Op>& Ops(Phase phase) { return ops[static_cast<std::size_t>(phase)]; }
  bool operator==(const LayerProgram&) const = default;
};

/// `count` equal layers in a row.
struct Section {
  int program = 0;  // index into Plan::programs
  int count = 1;
  int first_layer = 0;  // index in the model, for names and seeds
  bool operator==(const Section&) const = default;
};

/// The layers of one virtual stage (one chunk on one pipeline rank), in forward order.
struct StageContent {
  std::vector<Section> sections;
  bool operator==(const StageContent&) const = default;
};

}  // namespace isochrone::plan
