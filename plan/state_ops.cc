#include "plan/state_ops.h"

namespace isochrone::plan {

Op DataOp(const std::string& name, CollectiveKind kind, Group group, double elements, Dtype dtype) {
  return {.name = name,
          .stream = Stream::kData,
          .kind = Collective{.kind = kind, .group = group, .bytes = elements * SizeOf(dtype), .dtype = dtype},
          .in = {},
          .out = {},
          .after = {}};
}

Op ShardsOverCopies(const Layout& layout, double elements, Dtype wire) {
  return DataOp("gradient_shards", CollectiveKind::kAllReduce, Group::kReplica, elements / layout.Shard(), wire);
}

Op ExpertReduction(CollectiveKind kind, double elements, Dtype wire) {
  return DataOp("expert_gradients", kind, Group::kExpertData, elements, wire);
}

Op CopyOp(const std::string& name, TransferKind kind, Bytes bytes) {
  return {.name = name,
          .stream = Stream::kCopy,
          .kind = Transfer{.kind = kind, .bytes = bytes},
          .in = {},
          .out = {},
          .after = {}};
}

Op OffloadCopy(const std::string& name, OffloadTarget target, bool out, Bytes bytes) {
  const bool host = target == OffloadTarget::kHost;
  const TransferKind kind = out ? (host ? TransferKind::kToHost : TransferKind::kToNvme)
                                : (host ? TransferKind::kFromHost : TransferKind::kFromNvme);
  return CopyOp(name, kind, bytes);
}

}  // namespace isochrone::plan
