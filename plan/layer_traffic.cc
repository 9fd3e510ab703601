#include "plan/layer_traffic.h"

#include <iterator>

#include "plan/memory.h"

namespace isochrone::plan {
namespace {

Op CollectiveOp(const std::string& name, CollectiveKind kind, Group group, double elements, Dtype dtype) {
  return {.name = name,
          .stream = Stream::kData,
          .kind = Collective{.kind = kind, .group = group, .bytes = elements * SizeOf(dtype), .dtype = dtype},
          .in = {},
          .out = {},
          .after = {}};
}

Op Copy(const std::string& name, OffloadTarget target, bool out, Bytes bytes) {
  const bool host = target == OffloadTarget::kHost;
  const TransferKind kind = out ? (host ? TransferKind::kToHost : TransferKind::kToNvme)
                                : (host ? TransferKind::kFromHost : TransferKind::kFromNvme);
  return {.name = name,
          .stream = Stream::kCopy,
          .kind = Transfer{.kind = kind, .bytes = bytes},
          .in = {},
          .out = {},
          .after = {}};
}

/// Parameters of a layer that this rank holds after sharding.
double Share(const LayerContext& c, const LayerProgram& p) {
  if (c.strategy->optimizer_sharding != Sharding::kZero3) return p.parameters + p.expert_parameters;
  return p.parameters / c.layout.Shard() + p.expert_parameters / std::max(1, c.layout.Edp());
}

/// Weights and gradients have a pass of their own in split schedules; where both are one, the op is in both lists.
void AddToBackward(LayerProgram& p, Phase half, const std::vector<Op>& ops) {
  for (Phase phase : {Phase::kBackward, half}) p.Ops(phase).insert(p.Ops(phase).end(), ops.begin(), ops.end());
}

}  // namespace

bool ReducesEveryMicrobatch(const Strategy& s) {
  return s.optimizer_sharding == Sharding::kZero3 ||
         (s.optimizer_sharding == Sharding::kZero2 && (s.pipeline == 1 || s.zero2_reduce_every_microbatch));
}

std::vector<Op> GatherOps(const LayerContext& c, const LayerProgram& p) {
  std::vector<Op> ops;
  const Layout& l = c.layout;
  if (p.parameters > 0 && l.Shard() > 1) {
    ops.push_back(CollectiveOp("parameters", CollectiveKind::kAllGather, Group::kShard, p.parameters, c.storage));
  }
  if (p.expert_parameters > 0 && l.Edp() > 1) {
    ops.push_back(CollectiveOp("expert_parameters", CollectiveKind::kAllGather, Group::kExpertData, p.expert_parameters,
                               c.storage));
  }
  return ops;
}

std::vector<Op> ReduceOps(const LayerContext& c, const LayerProgram& p) {
  std::vector<Op> ops;
  const Layout& l = c.layout;
  const Dtype wire = c.strategy->gradient_reduce_dtype;
  if (p.parameters > 0 && l.Shard() > 1) {
    ops.push_back(CollectiveOp("gradients", CollectiveKind::kReduceScatter, Group::kShard, p.parameters, wire));
  }
  if (p.parameters > 0 && l.Shard() < l.dp * l.cp) {
    ops.push_back(
        CollectiveOp("gradient_shards", CollectiveKind::kAllReduce, Group::kReplica, p.parameters / l.Shard(), wire));
  }
  if (p.expert_parameters > 0 && l.Edp() > 1) {
    ops.push_back(CollectiveOp("expert_gradients", CollectiveKind::kReduceScatter, Group::kExpertData,
                               p.expert_parameters, wire));
  }
  return ops;
}

void AddStateTraffic(const LayerContext& c, LayerProgram& p) {
  const Strategy& s = *c.strategy;
  std::vector<Op> fetched, sent;
  const double share = Share(c, p);
  if (s.offload_parameters != OffloadTarget::kNone && share > 0) {
    fetched.push_back(Copy("parameters_fetch", s.offload_parameters, false, share * SizeOf(c.storage)));
  }
  if (s.optimizer_sharding == Sharding::kZero3) {
    const std::vector<Op> gathers = GatherOps(c, p);
    fetched.insert(fetched.end(), gathers.begin(), gathers.end());
  }
  if (ReducesEveryMicrobatch(s)) sent = ReduceOps(c, p);
  if (s.offload_gradients != OffloadTarget::kNone && share > 0) {
    sent.push_back(Copy("gradients_out", s.offload_gradients, true, share * SizeOf(s.gradient_reduce_dtype)));
  }
  const Bytes kept = BytesOf(p).kept;
  auto& forward = p.Ops(Phase::kForward);
  forward.insert(forward.end(), fetched.begin(), fetched.end());
  if (s.offload_activations != OffloadTarget::kNone && kept.value > 0) {
    forward.push_back(Copy("activations_out", s.offload_activations, true, kept));
    fetched.push_back(Copy("activations_fetch", s.offload_activations, false, kept));
  }
  if (p.Ops(Phase::kRecompute).empty()) {
    AddToBackward(p, Phase::kBackwardInput, fetched);
  } else {
    auto& again = p.Ops(Phase::kRecompute);
    again.insert(again.end(), fetched.begin(), fetched.end());
  }
  AddToBackward(p, Phase::kBackwardWeight, sent);
}

}  // namespace isochrone::plan
