#include "plan/layer_traffic.h"

#include <numeric>

#include "plan/memory.h"
#include "plan/state_ops.h"

namespace isochrone::plan {
namespace {

/// Parameters of a layer that this rank holds after sharding.
double Share(const LayerContext& c, const LayerProgram& p) {
  if (c.strategy->optimizer_sharding != Sharding::kZero3) return p.parameters + p.expert_parameters;
  return p.parameters / c.layout.Shard() + p.expert_parameters / std::max(1, c.layout.Edp());
}

/// How ZeRO-3 brings a layer together: as one flat buffer (FSDP1), as one buffer that is copied out to and in from its
/// parameters (FSDP2), or parameter by parameter (DeepSpeed), gathered again after recomputation.
enum class GatherForm : std::uint8_t { kFlat, kCopied, kModule };

GatherForm FormOf(const LayerContext& c) {
  const std::string& framework = c.strategy->framework;
  return framework == "megatron_deepspeed" ? GatherForm::kModule
         : framework == "fsdp2"            ? GatherForm::kCopied
                                           : GatherForm::kFlat;
}

// DeepSpeed keeps smaller parameters gathered for the whole step, and a released one where the parameters used until it
// is needed again are fewer than this. Source  DeepSpeed, deepspeed/runtime/zero/stage3.py, defaults of
// param_persistence_threshold and max_reuse_distance.
constexpr double kPersistent = 1e5, kReuseDistance = 1e9;

/// Dense parameters by the collective that brings them together.
std::vector<double> Units(const LayerContext& c, const LayerProgram& p) {
  if (FormOf(c) != GatherForm::kModule) return {p.parameters};
  std::vector<double> units;
  for (const Buffer& b : p.buffers) {
    const bool dense = b.kind == BufferKind::kParameter && !b.borrowed && !b.expert;
    if (dense && b.Elements() >= kPersistent) units.push_back(b.Elements());
  }
  return units;
}

/// Units that were released after the recomputed forward pass and come back for the backward pass: a unit waits until
/// all later ones have run forward and backward.
std::vector<double> ReleasedAgain(const LayerContext& c, const LayerProgram& p) {
  std::vector<double> released;
  if (FormOf(c) != GatherForm::kModule) return released;
  double later = 0;
  const std::vector<double> units = Units(c, p);
  for (auto unit = units.rbegin(); unit != units.rend(); ++unit) {
    if (2 * later > kReuseDistance) released.push_back(*unit);
    later += *unit;
  }
  return released;
}

std::vector<Op> GathersOf(const LayerContext& c, const std::vector<double>& units) {
  std::vector<Op> ops;
  for (const double unit : units) {
    if (unit > 0 && c.layout.Shard() > 1)
      ops.push_back(DataOp("parameters", CollectiveKind::kAllGather, Group::kShard, unit, c.storage));
  }
  return ops;
}

/// Passes over gathered parameters and over gradients that are to be reduced, on the stream where they take their turn.
/// FSDP1 works in one flat buffer and only casts; FSDP2 copies parameters out of the buffer they arrived in, gradients
/// into the buffer that is reduced. DeepSpeed of 2021 hands over lists, which PyTorch's NCCL stream copies; it clears
/// what it gathers into before, and averages gradients in a pass of their own.
/// Source  DeepSpeed 0.3, zero/partition_parameters.py (_allgather_param) and zero/stage3.py (average_tensor); PyTorch
///         1.8, ProcessGroupNCCL.cpp (allgather, reduce_scatter).
Op PassOver(const LayerContext& c, const std::string& name, double elements, Bytes read, Bytes written) {
  return {.name = name,
          .stream = FormOf(c) == GatherForm::kModule ? Stream::kData : Stream::kCompute,
          .kind = Elementwise{.kind = ElementwiseKind::kCopy,
                              .rows = 1,
                              .columns = static_cast<std::int64_t>(elements),
                              .read = elements * read,
                              .written = elements * written},
          .in = {},
          .out = {},
          .after = {}};
}

void AddGatherCopies(const LayerContext& c, double elements, std::vector<Op>& ops) {
  const GatherForm form = FormOf(c);
  if (form == GatherForm::kFlat || elements <= 0 || c.layout.Shard() < 2) return;
  const double clears = form == GatherForm::kModule ? 1 : 0;
  ops.push_back(PassOver(c, "parameters_copy", elements, SizeOf(c.storage), (1 + clears) * SizeOf(c.storage)));
}

void AddReduceCopies(const LayerContext& c, double elements, std::vector<Op>& ops) {
  const Bytes held = SizeOf(c.storage), wire = SizeOf(c.strategy->gradient_reduce_dtype);
  const GatherForm form = FormOf(c);
  if ((form == GatherForm::kFlat && wire <= held) || elements <= 0 || c.layout.Shard() < 2) return;
  const double averages = form == GatherForm::kModule ? 1 : 0;
  ops.push_back(PassOver(c, "gradients_copy", elements, (1 + averages) * held, averages * held + wire));
}

/// Appends `added` to `ops`. Communication that nothing overlaps starts when the pass has computed.
void Append(const std::vector<Op>& added, bool overlapped, std::vector<Op>& ops) {
  int last = -1;
  for (std::size_t i = 0; i < ops.size(); ++i) {
    if (ops[i].stream == Stream::kCompute) last = static_cast<int>(i);
  }
  for (const Op& op : added) {
    ops.push_back(op);
    const bool compute = op.stream == Stream::kCompute;
    if (!compute && op.stream == Stream::kData && !overlapped && last >= 0) ops.back().after = {last};
  }
}

/// Weights and gradients have a pass of their own in split schedules; where both are one, the op is in both lists.
void AddToBackward(LayerProgram& p, Phase half, const std::vector<Op>& ops, bool overlapped) {
  for (Phase phase : {Phase::kBackward, half}) Append(ops, overlapped, p.Ops(phase));
}

}  // namespace

bool ReducesEveryMicrobatch(const Strategy& s) {
  return s.optimizer_sharding == Sharding::kZero3 ||
         (s.optimizer_sharding == Sharding::kZero2 && (s.pipeline == 1 || s.zero2_reduce_every_microbatch));
}

std::vector<Op> GatherOps(const LayerContext& c, const LayerProgram& p) {
  std::vector<Op> ops = GathersOf(c, Units(c, p));
  const Layout& l = c.layout;
  if (p.expert_parameters > 0 && l.Edp() > 1) {
    ops.push_back(
        DataOp("expert_parameters", CollectiveKind::kAllGather, Group::kExpertData, p.expert_parameters, c.storage));
  }
  return ops;
}

std::vector<Op> ReduceOps(const LayerContext& c, const LayerProgram& p) {
  std::vector<Op> ops;
  const Layout& l = c.layout;
  const Dtype wire = c.strategy->gradient_reduce_dtype;
  for (const double unit : Units(c, p)) {
    if (unit > 0 && l.Shard() > 1)
      ops.push_back(DataOp("gradients", CollectiveKind::kReduceScatter, Group::kShard, unit, wire));
  }
  if (p.parameters > 0 && l.Shard() < l.dp * l.cp) {
    ops.push_back(ShardsOverCopies(l, p.parameters, wire));
  }
  if (p.expert_parameters > 0 && l.Edp() > 1) {
    ops.push_back(ExpertReduction(CollectiveKind::kReduceScatter, p.expert_parameters, wire));
  }
  return ops;
}

void AddStateTraffic(const LayerContext& c, LayerProgram& p) {
  const Strategy& s = *c.strategy;
  std::vector<Op> fetched, sent, released;
  const double share = Share(c, p);
  const bool gathers = s.optimizer_sharding == Sharding::kZero3, recomputes = !p.Ops(Phase::kRecompute).empty();
  if (s.offload_parameters != OffloadTarget::kNone && share > 0) {
    fetched.push_back(OffloadCopy("parameters_fetch", s.offload_parameters, false, share * SizeOf(c.storage)));
  }
  if (gathers) {
    const std::vector<Op> ops = GatherOps(c, p);
    fetched.insert(fetched.end(), ops.begin(), ops.end());
    AddGatherCopies(c, p.parameters, fetched);
  }
  if (gathers && recomputes) {
    const std::vector<double> again = ReleasedAgain(c, p);
    released = GathersOf(c, again);
    AddGatherCopies(c, std::accumulate(again.begin(), again.end(), 0.0), released);
  }
  if (ReducesEveryMicrobatch(s)) {
    AddReduceCopies(c, p.parameters, sent);
    const std::vector<Op> ops = ReduceOps(c, p);
    sent.insert(sent.end(), ops.begin(), ops.end());
  }
  if (s.offload_gradients != OffloadTarget::kNone && share > 0) {
    sent.push_back(OffloadCopy("gradients_out", s.offload_gradients, true, share * SizeOf(s.gradient_reduce_dtype)));
  }
  const Bytes kept = s.offload_activations == OffloadTarget::kNone ? Bytes(0) : BytesOf(p).kept;
  Append(fetched, s.overlap_parameter_gather, p.Ops(Phase::kForward));
  if (kept.value > 0) {
    p.Ops(Phase::kForward).push_back(OffloadCopy("activations_out", s.offload_activations, true, kept));
    fetched.push_back(OffloadCopy("activations_fetch", s.offload_activations, false, kept));
  }
  if (recomputes) {
    Append(fetched, s.overlap_parameter_gather, p.Ops(Phase::kRecompute));
    AddToBackward(p, Phase::kBackwardInput, released, s.overlap_parameter_gather);
  } else {
    AddToBackward(p, Phase::kBackwardInput, fetched, s.overlap_parameter_gather);
  }
  AddToBackward(p, Phase::kBackwardWeight, sent, s.overlap_data);
}

}  // namespace isochrone::plan
