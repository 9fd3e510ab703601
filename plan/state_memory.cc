#include "plan/state_memory.h"

#include <algorithm>
#include <vector>

#include "plan/build.h"
#include "plan/layer_traffic.h"
#include "plan/memory.h"
#include "plan/step_program.h"

namespace isochrone::plan {
namespace {

/// Workspaces of the matrix library and small tensors that no program names.
constexpr Bytes kFrameworkBytes(128.0 * kMebi);

/// Rows of the matrices that one stored matrix holds side by side: queries, keys and values; the two halves of a gated
/// layer.
std::vector<double> RowsOfParts(const Scenario& s, const Buffer& b) {
  const Model& m = s.model;
  const double rows = static_cast<double>(b.shape[b.shape.size() - 2]);
  if (b.name == "qkv.weight") {
    const double all = static_cast<double>(m.heads + 2 * m.kv_heads);
    const double query = rows * static_cast<double>(m.heads) / all, key = rows * static_cast<double>(m.kv_heads) / all;
    return {query, key, key};
  }
  const bool gated = m.mlp == MlpKind::kSwiglu || m.mlp == MlpKind::kGeglu;
  if (gated && b.name.ends_with("fc1.weight")) return {rows / 2, rows / 2};
  return {rows};
}

/// Optimizer bytes of one layer's parameters under GaLore: an m × n matrix, m ≤ n, keeps two moments of the projected
/// gradient and the projection, 2nr + mr; tables and vectors keep theirs whole. Source  Zhao et al., arXiv 2403.03507,
/// Table 1.
double GaloreBytes(const Scenario& s, const LayerProgram& p) {
  double elements = 0;
  for (const Buffer& b : p.buffers) {
    if (b.kind != BufferKind::kParameter || b.borrowed) continue;
    const bool table = b.name == "embedding.weight" || b.name == "logits.weight" || b.name == "position.weight";
    if (b.shape.size() < 2 || table) {
      elements += 2 * b.Elements();
      continue;
    }
    const double columns = static_cast<double>(b.shape.back());
    const double copies = b.shape.size() > 2 ? static_cast<double>(b.shape.front()) : 1;
    for (double rows : RowsOfParts(s, b)) {
      const double m = std::min(rows, columns), n = std::max(rows, columns);
      const double r = std::min<double>(s.strategy.galore_rank, m);
      elements += copies * (2 * n * r + m * r);
    }
  }
  return elements * SizeOf(s.strategy.moment_dtype).value;
}

/// Full parameters of the layer at work and the next, which shards are gathered into, and of the layer whose gradients
/// are being reduced. Held exactly, the next layer's parameters are in the workspace of the pass that fetches them.
Bytes WorkingState(const Scenario& s, const Plan& plan, int rank, const StateBytes& bytes) {
  const Strategy& y = s.strategy;
  double most = 0;
  for (int chunk = 0; chunk < plan.schedule.placement.chunks; ++chunk) {
    const int stage = plan.schedule.placement.StageOf(rank, chunk);
    for (const Section& section : plan.stages[static_cast<std::size_t>(stage)].sections) {
      const LayerProgram& p = plan.programs[static_cast<std::size_t>(section.program)];
      most = std::max(most, p.parameters + p.expert_parameters);
    }
  }
  const bool fetches = y.optimizer_sharding == Sharding::kZero3 || y.offload_parameters != OffloadTarget::kNone;
  const bool reduces = ReducesEveryMicrobatch(y) || y.offload_gradients != OffloadTarget::kNone;
  return Bytes(most * ((fetches ? (HoldingOf(s) == Holding::kExact ? 1 : 2) * bytes.parameter : 0) +
                       (reduces ? SizeOf(y.gradient_reduce_dtype).value : 0)));
}

/// Parameters, gradients and optimizer state, as sharding and offload leave them on one rank.
void AddState(const Scenario& s, const Plan& plan, int rank, StageMemory& memory) {
  const Layout& layout = plan.layout;
  const Strategy& y = s.strategy;
  const StateBytes bytes = StateBytesOf(y);
  const Sharding sharding = y.optimizer_sharding;
  const double dense_shards = sharding == Sharding::kNone ? 1 : layout.Shard();
  const double expert_shards = sharding == Sharding::kNone ? 1 : std::max(1, layout.Edp());
  SlotParameters p;
  int known = -1;  // the stage whose parameters they are: chunks in a row may hold the same
  for (int chunk = 0; chunk < plan.schedule.placement.chunks; ++chunk) {
    const int stage = plan.schedule.placement.StageOf(rank, chunk);
    if (stage != known) p = ParametersOf(plan, rank, chunk);
    known = stage;
    const double n = p.dense + p.expert, held = p.dense / dense_shards + p.expert / expert_shards;
    Bytes optimizer(bytes.optimizer * held);
    if (y.optimizer == OptimizerKind::kGaloreAdam) {
      optimizer = Bytes(0);
      for (const Section& section : plan.stages[static_cast<std::size_t>(stage)].sections) {
        const LayerProgram& program = plan.programs[static_cast<std::size_t>(section.program)];
        optimizer += Bytes(section.count * GaloreBytes(s, program) * (n > 0 ? held / n : 0));
      }
    }
    Place(Bytes(bytes.parameter * (sharding == Sharding::kZero3 ? held : n)), y.offload_parameters, memory.parameters,
          memory);
    Place(Bytes(bytes.gradient * (ReducesEveryMicrobatch(y) ? held : n)), y.offload_gradients, memory.gradients,
          memory);
    Place(optimizer, y.offload_optimizer, memory.optimizer, memory);
    if (ReducesInTorchBuckets(y)) memory.communication += n * SizeOf(y.gradient_reduce_dtype);
  }
  memory.communication += WorkingState(s, plan, rank, bytes);
}

}  // namespace

Bytes RoomForTensors(const Gpu& gpu) { return gpu.memory - (gpu.architecture == "cpu" ? Bytes(0) : kBesideTensors); }

bool ReducesInTorchBuckets(const Strategy& s) {
  const bool before = s.framework.starts_with("megatron_lm_");
  return before && s.overlap_data && s.optimizer_sharding == Sharding::kNone;
}

void Place(Bytes bytes, OffloadTarget target, Bytes& on_gpu, StageMemory& memory) {
  if (target == OffloadTarget::kNone) on_gpu += bytes;
  else if (target == OffloadTarget::kHost) memory.host += bytes;
  else memory.nvme += bytes;
}

Bytes LeastStateOfParameter(const Strategy& s) {
  const StateBytes bytes = StateBytesOf(s);
  const auto here = [](OffloadTarget target) { return target == OffloadTarget::kNone; };
  double whole = 0;
  if (s.optimizer_sharding != Sharding::kZero3 && here(s.offload_parameters)) whole += bytes.parameter;
  if (!ReducesEveryMicrobatch(s) && here(s.offload_gradients)) whole += bytes.gradient;
  const bool projected = s.optimizer == OptimizerKind::kGaloreAdam;
  if (s.optimizer_sharding == Sharding::kNone && here(s.offload_optimizer) && !projected) whole += bytes.optimizer;
  return Bytes(whole);
}

StageMemory StateOf(const Scenario& s, const Plan& plan, int rank) {
  StageMemory memory;
  memory.stage = rank;
  AddState(s, plan, rank, memory);
  if (HoldingOf(s) == Holding::kFramework) memory.framework = kFrameworkBytes;
  return memory;
}

}  // namespace isochrone::plan
