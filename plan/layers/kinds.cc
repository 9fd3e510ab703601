// Which kind each layer of a model is. A new kind of layer is one file beside this one and one line here.
#include "plan/layers/layers.h"

namespace isochrone::plan {
namespace {

bool HasExperts(const Model& model, int layer) {
  return model.moe && layer >= model.moe->dense_layers && layer % model.moe->every == 0;
}

bool IsWindowed(const Model& model, int layer) { return model.window > 0 && layer % model.window_every == 0; }

}  // namespace

LayerKind LayerKindAt(const Model& model, int layer) {
  if (!model.pattern.empty()) {
    const char letter = model.pattern[static_cast<std::size_t>(layer)];
    if (letter == 'M') return {"mamba", MambaLayer};
    if (letter == '*') return {"attention", AttentionLayer};
    return {"mlp", MlpLayer};
  }
  if (HasExperts(model, layer)) {
    return IsWindowed(model, layer) ? LayerKind{"moe_window", WindowedExpertLayer} : LayerKind{"moe", ExpertLayer};
  }
  return IsWindowed(model, layer) ? LayerKind{"transformer_window", WindowedLayer}
                                  : LayerKind{"transformer", TransformerLayer};
}

}  // namespace isochrone::plan
