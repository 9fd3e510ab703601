// softmax(Q Kᵀ) V over the positions that one rank holds whole.
#include "plan/layers/layers.h"

namespace isochrone::plan {
namespace {

/// softmax(Q Kᵀ) V as four kernels. Each writes its (B, A, S, S) result.
int UnfusedCore(Tape& tape, int qkv, const CoreHeads& heads, std::int64_t S) {
  const LayerContext& c = tape.context();
  const std::int64_t B = c.sequences, A = heads.query, D = heads.qk;
  const std::vector<std::int64_t> square = {B, A, S, S};
  const Gemm scores_op{.role = GemmRole::kScores,
                       .batch = B * A,
                       .m = S,
                       .n = S,
                       .k = D,
                       .dtype = c.storage,
                       .output = c.storage,
                       .transpose_b = true};
  const Gemm context_op{.role = GemmRole::kContext,
                        .batch = B * A,
                        .m = S,
                        .n = heads.value,
                        .k = S,
                        .dtype = c.storage,
                        .output = c.storage};
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
    to_queries.n = to_keys.n = D;
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
  const int out = tape.Activation("attention", {B * S, A * heads.value}, c.storage);
  tape.Record(
      {.name = "context", .kind = context_op, .in = {dropped, qkv}, .out = {out}, .after = {}}, [=](Tape::Gradient g) {
        Gemm to_probabilities = scores_op, to_values = context_op;
        to_probabilities.k = heads.value;
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

int FlashCore(Tape& tape, int qkv, const CoreHeads& heads, std::int64_t S) {
  const LayerContext& c = tape.context();
  const std::int64_t B = c.sequences;
  const int out = tape.Activation("attention", {B * S, heads.query * heads.value}, c.storage);
  const int lse = tape.Activation("log_sum_exp", {B, heads.query, S}, Dtype::kFp32, true);
  Attention op{.batch = B,
               .heads = heads.query,
               .kv_heads = heads.key_value,
               .queries = S,
               .keys = S,
               .qk_dim = heads.qk,
               .v_dim = heads.value,
               .causal = c.model->causal,
               .window = c.windowed ? c.model->window : 0,
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

int WholeAttention(Tape& tape, int qkv, const CoreHeads& heads, std::int64_t positions) {
  const bool flash = tape.context().strategy->attention == AttentionForm::kFlash;
  return flash ? FlashCore(tape, qkv, heads, positions) : UnfusedCore(tape, qkv, heads, positions);
}

int CoreAttention(Tape& tape, int qkv, const CoreHeads& heads) {
  tape.BeginCoreAttention();
  const bool cut = tape.context().layout.cp > 1;
  const int out = cut ? ContextAttention(tape, qkv, heads) : WholeAttention(tape, qkv, heads, tape.context().positions);
  tape.EndCoreAttention();
  return out;
}

}  // namespace isochrone::plan
