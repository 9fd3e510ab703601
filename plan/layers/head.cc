#include "plan/layers/layers.h"

namespace isochrone::plan {

void LossPart(Tape& tape, int x, int table) {
  const LayerContext& c = tape.context();
  const std::int64_t columns = tape.At(table).shape.front(), tokens = c.Tokens();
  const int full = tape.EnterTensorRegion("head_gather", tape.Norm("final_norm", x), false);
  const int logits = tape.Linear("logits", full, table, -1, false);
  const int labels = tape.Input("labels", {tokens}, Dtype::kInt32);
  // Megatron keeps the softmax in fp32; the statistics that cross tensor ranks are three numbers a token: maximum, sum
  // and target logit. Those of the whole vocabulary give the loss.
  const int statistics = tape.Activation("cross_entropy.statistics", {3, tokens}, Dtype::kFp32, true);
  const bool split = c.layout.tp > 1;
  const int whole = split ? tape.Activation("cross_entropy.reduced", {3, tokens}, Dtype::kFp32, true) : statistics;
  const int softmax = tape.Activation("softmax", {tokens, columns}, Dtype::kFp32);
  const CrossEntropy op{.tokens = tokens, .columns = columns, .dtype = c.storage};
  tape.Record(
      {.name = "cross_entropy", .kind = op, .in = {logits, labels}, .out = {statistics, softmax}, .after = {}},
      [=](Tape::Gradient g) {
        CrossEntropy back = op;
        back.pass = Pass::kBackward;
        const int dlogits = g.tape->NewGradient(logits);
        g.tape->EmitInputGradient(
            {.name = "cross_entropy", .kind = back, .in = {softmax, labels, whole}, .out = {dlogits}, .after = {}});
        g.tape->AddGradient(logits, dlogits);
      });
  if (split) {
    tape.Record({.name = "loss_reduce",
                 .stream = Stream::kTensor,
                 .kind = Collective{.kind = CollectiveKind::kAllReduce,
                                    .group = Group::kTensor,
                                    .bytes = tape.At(statistics).Size(),
                                    .dtype = Dtype::kFp32},
                 .in = {statistics},
                 .out = {whole},
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
