#include "plan/layers/layers.h"

namespace isochrone::plan {
namespace {

struct Activated {
  ElementwiseKind kind;
  bool gated;
};

Activated ActivationOf(const Model& model) {
  switch (model.mlp) {
    case MlpKind::kGelu:
      return {model.linear_bias ? ElementwiseKind::kBiasGelu : ElementwiseKind::kGelu, false};
    case MlpKind::kSwiglu:
      return {ElementwiseKind::kSwiglu, true};
    case MlpKind::kGeglu:
      return {ElementwiseKind::kGeglu, true};
    case MlpKind::kSquaredRelu:
      return {ElementwiseKind::kSquaredRelu, false};
    case MlpKind::kRelu:
      return {ElementwiseKind::kRelu, false};
  }
  return {};
}

}  // namespace

int MlpPart(Tape& tape, int x) {
  const LayerContext& c = tape.context();
  const Model& m = *c.model;
  const auto [kind, gated] = ActivationOf(m);
  const std::int64_t width = m.ffn / c.layout.tp;
  const int normed = tape.Norm("mlp_norm", x);
  const int full = tape.EnterTensorRegion("mlp_gather", normed);
  const int up_weight = tape.Parameter("fc1.weight", {gated ? 2 * width : width, m.hidden}, 0);
  const int up_bias = m.linear_bias ? tape.Parameter("fc1.bias", {gated ? 2 * width : width}, 0) : -1;
  // The activation kernel adds the bias where there is such a kernel, else the product does.
  const bool bias_in_activation = kind == ElementwiseKind::kBiasGelu;
  const int up = tape.Linear("fc1", full, up_weight, bias_in_activation ? -1 : up_bias);
  const int activated =
      tape.Elementwise1("activation", kind, up, {c.Tokens(), width}, bias_in_activation ? up_bias : -1);
  const int down_weight = tape.Parameter("fc2.weight", {m.hidden, width}, 1);
  const int down = tape.LeaveTensorRegion("mlp_reduce", tape.Linear("fc2", activated, down_weight));
  const int down_bias = m.linear_bias ? tape.ReplicatedParameter("fc2.bias", {m.hidden}) : -1;
  return tape.DropoutAdd("mlp_add", down, x, down_bias);
}

LayerProgram TransformerLayer(const LayerContext& context) {
  Tape tape("transformer", context);
  const int x = tape.Input("x", {context.ShardTokens(), context.model->hidden}, context.storage);
  return tape.Finish(MlpPart(tape, AttentionPart(tape, x)));
}

}  // namespace isochrone::plan
