// Self-attention with its residual: norm → qkv → attention → projection → add.
#include "plan/layers/layers.h"

namespace isochrone::plan {
namespace {

struct Heads {  // of one tensor rank
  std::int64_t query, key_value, size;
  std::int64_t Packed() const { return (query + 2 * key_value) * size; }
};

Heads LocalHeads(const Tape& tape) {
  const Model& m = *tape.context().model;
  const int tp = tape.context().layout.tp;
  return {m.heads / tp, std::max<std::int64_t>(1, m.kv_heads / tp), m.head_dim};
}

/// softmax(Q Kᵀ) V as four kernels. Each writes its (B, A, S, S) result.
int UnfusedCore(Tape& tape, int qkv) {
  const LayerContext& c = tape.context();
  const Heads heads = LocalHeads(tape);
  const std::int64_t B = c.sequences, S = c.positions, A = heads.query, D = heads.size;
  const std::vector<std::int64_t> square = {B, A, S, S};
  const Gemm scores_op{.role = GemmRole::kScores,
                       .batch = B * A,
                       .m = S,
                       .n = S,
                       .k = D,
                       .dtype = c.storage,
                       .output = c.storage,
                       .transpose_b = true};
  const Gemm context_op{
      .role = GemmRole::kContext, .batch = B * A, .m = S, .n = D, .k = S, .dtype = c.storage, .output = c.storage};
  const Softmax softmax_op{.rows = B * A * S,
                           .columns = S,
                           .causal = c.model->causal,
                           .fused = c.strategy->fused_kernels,
                           .dtype = c.storage};

  const int scores = tape.Activation("scores", square, c.storage);
  const int probabilities = tape.Activation("probabilities", square, c.storage);
  const int dqkv = tape.NewGradient(qkv, ".attention");
  tape.Record({.name = "scores", .kind = scores_op, .in = {qkv}, .out = {scores}, .after = {}}, [=](Tape::Gradient g) {
    Gemm to_queries = context_op, to_keys = context_op;
    to_queries.role = GemmRole::kGradQueries;
    to_keys.role = GemmRole::kGradKeys;
    to_keys.transpose_a = true;
    g.tape->EmitInputGradient(
        {.name = "queries", .kind = to_queries, .in = {g.of_output, qkv}, .out = {dqkv}, .after = {}});
    g.tape->EmitInputGradient({.name = "keys", .kind = to_keys, .in = {g.of_output, qkv}, .out = {dqkv}, .after = {}});
    g.tape->AddGradient(qkv, dqkv);
  });
  tape.Record(
      {.name = "softmax", .kind = softmax_op, .in = {scores}, .out = {probabilities}, .after = {}},
      [=](Tape::Gradient g) {
        Softmax back = softmax_op;
        back.pass = Pass::kBackward;
        const int dscores = g.tape->NewGradient(scores);
        g.tape->EmitInputGradient(
            {.name = "softmax", .kind = back, .in = {g.of_output, probabilities}, .out = {dscores}, .after = {}});
        g.tape->AddGradient(scores, dscores);
      });
  const int dropped = tape.Dropout("attention_dropout", probabilities);
  const int out = tape.Activation("attention", {B * S, A * D}, c.storage);
  tape.Record(
      {.name = "context", .kind = context_op, .in = {dropped, qkv}, .out = {out}, .after = {}}, [=](Tape::Gradient g) {
        Gemm to_probabilities = scores_op, to_values = context_op;
        to_probabilities.role = GemmRole::kGradProbabilities;
        to_values.role = GemmRole::kGradValues;
        to_values.transpose_a = true;
        const int dp = g.tape->NewGradient(dropped);
        g.tape->EmitInputGradient(
            {.name = "probabilities", .kind = to_probabilities, .in = {g.of_output, qkv}, .out = {dp}, .after = {}});
        g.tape->EmitInputGradient(
            {.name = "values", .kind = to_values, .in = {dropped, g.of_output}, .out = {dqkv}, .after = {}});
        g.tape->AddGradient(dropped, dp);
      });
  return out;
}

int FlashCore(Tape& tape, int qkv) {
  const LayerContext& c = tape.context();
  const Heads heads = LocalHeads(tape);
  const std::int64_t B = c.sequences, S = c.positions;
  const int out = tape.Activation("attention", {B * S, heads.query * heads.size}, c.storage);
  const int lse = tape.Activation("log_sum_exp", {B, heads.query, S}, Dtype::kFp32, true);
  Attention op{.batch = B,
               .heads = heads.query,
               .kv_heads = heads.key_value,
               .queries = S,
               .keys = S,
               .qk_dim = heads.size,
               .v_dim = heads.size,
               .causal = c.model->causal,
               .window = c.model->window,
               .dtype = c.storage};
  tape.Record({.name = "attention", .kind = op, .in = {qkv}, .out = {out, lse}, .after = {}}, [=](Tape::Gradient g) {
    Attention back = op;
    back.pass = Pass::kBackward;
    const int dqkv = g.tape->NewGradient(qkv, ".attention");
    g.tape->EmitInputGradient(
        {.name = "attention", .kind = back, .in = {g.of_output, qkv, out, lse}, .out = {dqkv}, .after = {}});
    g.tape->AddGradient(qkv, dqkv);
  });
  return out;
}

}  // namespace

int AttentionPart(Tape& tape, int x) {
  const LayerContext& c = tape.context();
  const Model& m = *c.model;
  const Heads heads = LocalHeads(tape);
  const int normed = tape.Norm("attention_norm", x);
  const int full = tape.EnterTensorRegion("attention_gather", normed);
  const int weight = tape.Parameter("qkv.weight", {heads.Packed(), m.hidden}, 0);
  const int bias = m.linear_bias ? tape.Parameter("qkv.bias", {heads.Packed()}, 0) : -1;
  int qkv = tape.Linear("qkv", full, weight, bias);
  if (m.position == PositionKind::kRotary) qkv = tape.Rope("rope", qkv);

  tape.BeginCoreAttention();
  const int core = c.strategy->attention == AttentionForm::kFlash ? FlashCore(tape, qkv) : UnfusedCore(tape, qkv);
  tape.EndCoreAttention();

  const int out_weight = tape.Parameter("projection.weight", {m.hidden, heads.query * heads.size}, 1);
  const int projected = tape.LeaveTensorRegion("attention_reduce", tape.Linear("projection", core, out_weight));
  const int out_bias = m.linear_bias ? tape.ReplicatedParameter("projection.bias", {m.hidden}) : -1;
  return tape.DropoutAdd("attention_add", projected, x, out_bias);
}

}  // namespace isochrone::plan
