// The MLP with its residual: norm → up → activation → down → add.
#include "plan/layers/layers.h"

namespace isochrone::plan {

MlpActivation ActivationOf(const Model& model) {
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

int MlpBody(Tape& tape, const std::string& prefix, int normed, std::int64_t ffn) {
  const LayerContext& c = tape.context();
  const Model& m = *c.model;
  const auto [kind, gated] = ActivationOf(m);
  const std::int64_t width = ffn / c.layout.tp, up_width = gated ? 2 * width : width;
  const int full = tape.EnterTensorRegion(prefix + "mlp_gather", normed, Tape::Wire::kMultiply);
  const int up_weight = tape.Parameter(prefix + "fc1.weight", {up_width, m.hidden}, 0);
  const int up_bias = m.linear_bias ? tape.Parameter(prefix + "fc1.bias", {up_width}, 0) : -1;
  // The activation kernel adds the bias where there is such a kernel, else the product does.
  const bool bias_in_activation = kind == ElementwiseKind::kBiasGelu;
  const int up = tape.Linear(prefix + "fc1", full, up_weight, bias_in_activation ? -1 : up_bias);
  const int activated =
      tape.Elementwise1(prefix + "activation", kind, up, {c.Tokens(), width}, bias_in_activation ? up_bias : -1);
  const int down_weight = tape.Parameter(prefix + "fc2.weight", {m.hidden, width}, 1);
  return tape.LeaveTensorRegion(prefix + "mlp_reduce", tape.Linear(prefix + "fc2", activated, down_weight),
                                Tape::Wire::kMultiply);
}

int MlpPart(Tape& tape, int x) {
  const Model& m = *tape.context().model;
  const int down = MlpBody(tape, "", tape.Norm("mlp_norm", x), m.ffn);
  const int down_bias = m.linear_bias ? tape.ReplicatedParameter("fc2.bias", {m.hidden}) : -1;
  return tape.DropoutAdd("mlp_add", down, x, down_bias);
}

LayerProgram MlpLayer(const LayerContext& context) {
  Tape tape("mlp", context);
  const int x = tape.Input("x", {context.ShardTokens(), context.model->hidden}, context.storage);
  return tape.Finish(MlpPart(tape, x));
}

}  // namespace isochrone::plan
