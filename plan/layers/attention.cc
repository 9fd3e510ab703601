// Self-attention with its residual: norm → qkv → attention → projection → add.
#include <algorithm>

#include "plan/layers/layers.h"

namespace isochrone::plan {
namespace {

CoreHeads LocalHeads(const Tape& tape) {
  const Model& m = *tape.context().model;
  const int tp = tape.context().layout.tp;
  return {m.heads / tp, std::max<std::int64_t>(1, m.kv_heads / tp), m.head_dim, m.head_dim};
}

}  // namespace

int AttentionPart(Tape& tape, int x) {
  const Model& m = *tape.context().model;
  if (m.mla) return LatentAttentionPart(tape, x);
  const CoreHeads heads = LocalHeads(tape);
  const int normed = tape.Norm("attention_norm", x);
  const int full = tape.EnterTensorRegion("attention_gather", normed, Tape::Wire::kMultiply);
  const int weight = tape.Parameter("qkv.weight", {heads.Packed(), m.hidden}, 0);
  const int bias = m.linear_bias ? tape.Parameter("qkv.bias", {heads.Packed()}, 0) : -1;
  int qkv = tape.Linear("qkv", full, weight, bias);
  if (m.position == PositionKind::kRotary) qkv = tape.Rope("rope", qkv);
  const int core = CoreAttention(tape, qkv, heads);
  const int out_weight = tape.Parameter("projection.weight", {m.hidden, heads.query * heads.value}, 1);
  const int projected =
      tape.LeaveTensorRegion("attention_reduce", tape.Linear("projection", core, out_weight), Tape::Wire::kMultiply);
  const int out_bias = m.linear_bias ? tape.ReplicatedParameter("projection.bias", {m.hidden}) : -1;
  return tape.DropoutAdd("attention_add", projected, x, out_bias);
}

LayerProgram AttentionLayer(const LayerContext& context) {
  Tape tape("attention", context);
  const int x = tape.Input("x", {context.ShardTokens(), context.model->hidden}, context.storage);
  return tape.Finish(AttentionPart(tape, x));
}

}  // namespace isochrone::plan
