// Multi-head latent attention: queries, keys and values pass low-rank projections, a small rotated part beside them.
#include "plan/layers/layers.h"

namespace isochrone::plan {
namespace {

/// Queries of the local heads, (T, A (nope + rope)). Down projections work on this rank's rows; what goes up is
/// gathered at the low rank.
int Queries(Tape& tape, int normed, std::int64_t heads, std::int64_t size) {
  const Model& m = *tape.context().model;
  if (m.mla->q_lora == 0) {
    const int weight = tape.Parameter("q.weight", {heads * size, m.hidden}, 0);
    return tape.Linear("q", tape.EnterTensorRegion("q_gather", normed, Tape::Wire::kMultiply), weight);
  }
  const int down_weight = tape.ReplicatedParameter("q_down.weight", {m.mla->q_lora, m.hidden});
  const int down = tape.Linear("q_down", normed, down_weight);
  const int low = tape.EnterTensorRegion("q_gather", tape.Norm("q_norm", down), Tape::Wire::kMultiply);
  const int up_weight = tape.Parameter("q_up.weight", {heads * size, m.mla->q_lora}, 0);
  return tape.Linear("q_up", low, up_weight);
}

/// The shared rotated key of every token: the last columns of the down projection. (T', rope)
int RotatedKey(Tape& tape, int down) {
  const std::int64_t rope = tape.context().model->mla->qk_rope;
  const std::int64_t rows = tape.At(down).shape.front();
  const Bytes size = static_cast<double>(rows * rope) * SizeOf(tape.context().storage);
  Elementwise forward{.kind = ElementwiseKind::kRope,
                      .rows = rows,
                      .columns = rope,
                      .read = size,
                      .written = size,
                      .flops_per_element = 3};
  Elementwise backward = forward;
  backward.pass = Pass::kBackward;
  return tape.Apply("key_rope", forward, backward, {down}, {}, {rows, rope});
}

/// Rotates queries and lays out per token: all queries, all keys (own part and shared rotated part), all values.
int Pack(Tape& tape, int queries, int keys_values, int rotated, const CoreHeads& heads) {
  const std::int64_t rows = tape.At(queries).shape.front();
  const Bytes read = tape.At(queries).Size() + tape.At(keys_values).Size() + tape.At(rotated).Size();
  Elementwise forward{.kind = ElementwiseKind::kRope,
                      .rows = rows,
                      .columns = heads.Packed(),
                      .read = read,
                      .written = static_cast<double>(rows * heads.Packed()) * SizeOf(tape.context().storage),
                      .flops_per_element = 3};
  Elementwise backward = forward;
  backward.pass = Pass::kBackward;
  std::swap(backward.read, backward.written);
  return tape.Apply("qkv_pack", forward, backward, {queries, keys_values, rotated}, {}, {rows, heads.Packed()});
}

}  // namespace

int LatentAttentionPart(Tape& tape, int x) {
  const Model& m = *tape.context().model;
  const MlaSpec& l = *m.mla;
  const std::int64_t local = m.heads / tape.context().layout.tp;
  const CoreHeads heads{local, local, l.qk_nope + l.qk_rope, l.v};
  const int normed = tape.Norm("attention_norm", x);
  const int queries = Queries(tape, normed, local, heads.qk);

  const int down_weight = tape.ReplicatedParameter("kv_down.weight", {l.kv_lora + l.qk_rope, m.hidden});
  const int down = tape.Linear("kv_down", normed, down_weight);
  const int low = tape.EnterTensorRegion("kv_gather", tape.Norm("kv_norm", down, l.kv_lora), Tape::Wire::kMultiply);
  const int rotated = tape.EnterTensorRegion("key_gather", RotatedKey(tape, down));
  const int up_weight = tape.Parameter("kv_up.weight", {local * (l.qk_nope + l.v), l.kv_lora}, 0);
  const int keys_values = tape.Linear("kv_up", low, up_weight);

  const int core = CoreAttention(tape, Pack(tape, queries, keys_values, rotated, heads), heads);
  const int out_weight = tape.Parameter("projection.weight", {m.hidden, local * l.v}, 1);
  const int projected =
      tape.LeaveTensorRegion("attention_reduce", tape.Linear("projection", core, out_weight), Tape::Wire::kMultiply);
  return tape.DropoutAdd("attention_add", projected, x);
}

}  // namespace isochrone::plan
