#include "plan/layers/layers.h"

namespace isochrone::plan {
namespace {

/// The embedding of the next token, from the model's own table.
int NextEmbedding(Tape& tape) {
  const LayerContext& c = tape.context();
  const std::int64_t rows = c.model->vocabulary / c.layout.tp, tokens = c.Tokens();
  const int input = tape.Input("next_tokens", {tokens}, Dtype::kInt32);
  const int table = tape.Borrowed("embedding.weight", {rows, c.model->hidden});
  const Embedding forward{.tokens = tokens, .hidden = c.model->hidden, .rows = rows, .dtype = c.storage};
  Embedding backward = forward;
  backward.pass = Pass::kBackward;
  const int y = tape.Apply("next_embedding", forward, backward, {input, table}, {input}, {tokens, c.model->hidden});
  return tape.LeaveTensorRegion("next_embedding_reduce", y);
}

/// Columns of a beside those of b.
int Beside(Tape& tape, int a, int b) {
  const std::int64_t rows = tape.At(a).shape.front(), columns = tape.At(a).shape.back() + tape.At(b).shape.back();
  const Bytes size = tape.At(a).Size() + tape.At(b).Size();
  Elementwise copy{.kind = ElementwiseKind::kCopy, .rows = rows, .columns = columns, .read = size, .written = size};
  Elementwise back = copy;
  back.pass = Pass::kBackward;
  return tape.Apply("next_pair", copy, back, {a, b}, {}, {rows, columns});
}

}  // namespace

LayerProgram MultiTokenLayer(const LayerContext& context) {
  const Model& m = *context.model;
  Tape tape("multi_token", context);
  const int x = tape.Input("x", {context.ShardTokens(), m.hidden}, context.storage);
  const int next = tape.Norm("embedding_norm", NextEmbedding(tape));
  const int pair = Beside(tape, tape.Norm("hidden_norm", x), next);
  const int weight = tape.ReplicatedParameter("next_projection.weight", {m.hidden, 2 * m.hidden});
  const int attended = AttentionPart(tape, tape.Linear("next_projection", pair, weight));
  const int y = m.moe ? ExpertPart(tape, attended) : MlpPart(tape, attended);
  LossPart(tape, y, tape.Borrowed("logits.weight", {m.vocabulary / context.layout.tp, m.hidden}));
  return tape.Finish(y);
}

}  // namespace isochrone::plan
