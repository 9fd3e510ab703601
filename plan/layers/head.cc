#include "plan/layers/layers.h"

namespace isochrone::plan {

void LossPart(Tape& tape, int x, int table) {
  const LayerContext& c = tape.context();
  const std::int64_t columns = tape.At(table).shape.front(), tokens = c.Tokens();
  const int full = tape.EnterTensorRegion("head_gather", tape.Norm("final_norm", x));
  const int logits = tape.Linear("logits", full, table, -1, false);
  const int labels = tape.Input("labels", {tokens}, Dtype::kInt32);
  const int loss = tape.Activation("loss", {tokens}, Dtype::kFp32);
  // Megatron keeps the softmax in fp32; the statistics that cross tensor ranks are three numbers a token.
  const int softmax = tape.Activation("softmax", {tokens, columns}, Dtype::kFp32);
  const CrossEntropy op{.tokens = tokens, .columns = columns, .dtype = c.storage};
  tape.Record({.name = "cross_entropy", .kind = op, .in = {logits, labels}, .out = {loss, softmax}, .after = {}},
              [=](Tape::Gradient g) {
                CrossEntropy back = op;
                back.pass = Pass::kBackward;
                const int dlogits = g.tape->NewGradient(logits);
                g.tape->EmitInputGradient(
                    {.name = "cross_entropy", .kind = back, .in = {softmax, labels}, .out = {dlogits}, .after = {}});
                g.tape->AddGradient(logits, dlogits);
              });
  if (c.layout.tp > 1) {
    const int reduced = tape.Activation("loss_reduced", {tokens}, Dtype::kFp32);
    tape.Record({.name = "loss_reduce",
                 .stream = Stream::kTensor,
                 .kind = Collective{.kind = CollectiveKind::kAllReduce,
                                    .group = Group::kTensor,
                                    .bytes = 3 * tape.At(loss).Size(),
                                    .dtype = Dtype::kFp32},
                 .in = {loss},
                 .out = {reduced},
                 .after = {}},
                nullptr);
  }
}

LayerProgram HeadLayer(const LayerContext& context, bool owns_table) {
  const Model& m = *context.model;
  const std::int64_t columns = m.vocabulary / context.layout.tp;
  Tape tape("head", context);
  const int x = tape.Input("x", {context.ShardTokens(), m.hidden}, context.storage);
  LossPart(tape, x,
           owns_table ? tape.Parameter("logits.weight", {columns, m.hidden}, 0)
                      : tape.Borrowed("embedding.weight", {columns, m.hidden}));
  return tape.Finish(-1);
}

}  // namespace isochrone::plan
