#include "plan/layers/layers.h"

namespace isochrone::plan {

LayerProgram EmbeddingLayer(const LayerContext& context) {
  const Model& m = *context.model;
  const std::int64_t rows = m.vocabulary / context.layout.tp, tokens = context.Tokens();
  Tape tape("embedding", context);
  const int input = tape.Input("tokens", {tokens}, Dtype::kInt32);
  const int table = tape.Parameter("embedding.weight", {rows, m.hidden}, 0);
  int y = tape.Activation("embedded", {tokens, m.hidden}, context.storage);
  const Embedding op{.tokens = tokens, .hidden = m.hidden, .rows = rows, .dtype = context.storage};
  tape.Record({.name = "embedding", .kind = op, .in = {input, table}, .out = {y}, .after = {}}, [=](Tape::Gradient g) {
    Embedding back = op;
    back.pass = Pass::kBackward;
    g.tape->EmitWeightGradient({.name = "embedding",
                                .kind = back,
                                .in = {g.of_output, input},
                                .out = {g.tape->ParameterGradient(table)},
                                .after = {}});
  });
  y = tape.LeaveTensorRegion("embedding_reduce", y);
  if (m.position == PositionKind::kLearned) {
    const std::int64_t shard = context.ShardTokens();
    const int positions = tape.ReplicatedParameter("position.weight", {m.sequence, m.hidden});
    const int sum = tape.Activation("embedded_with_position", {shard, m.hidden}, context.storage);
    const int embedded = y;
    const Bytes size = tape.At(sum).Size();
    tape.Record(
        {.name = "position",
         .kind =
             Elementwise{
                 .kind = ElementwiseKind::kAdd, .rows = shard, .columns = m.hidden, .read = 2 * size, .written = size},
         .in = {y, positions},
         .out = {sum},
         .after = {}},
        [=](Tape::Gradient g) {
          g.tape->EmitWeightGradient({.name = "position",
                                      .kind = Elementwise{.pass = Pass::kBackward,
                                                          .kind = ElementwiseKind::kBias,
                                                          .rows = shard,
                                                          .columns = m.hidden,
                                                          .read = size,
                                                          .written = g.tape->At(positions).Size()},
                                      .in = {g.of_output},
                                      .out = {g.tape->ParameterGradient(positions)},
                                      .after = {}});
          g.tape->AddGradient(embedded, g.of_output);
        });
    y = sum;
  }
  return tape.Finish(tape.Dropout("embedding_dropout", y));
}

}  // namespace isochrone::plan
