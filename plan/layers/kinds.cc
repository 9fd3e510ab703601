// Which kind each layer of a model is. A new kind of layer is one file beside this one and one line here.
#include "plan/layers/layers.h"

namespace isochrone::plan {
namespace {

bool HasExperts(const Model& model, int layer) {
  return model.moe && layer >= model.moe->dense_layers && layer % model.moe->every == 0;
}

bool IsWindowed(const Model& model, int layer) { return model.window > 0 && layer % model.window_every == 0; }

/// Convolutions, recurrent layers, a row convolution, one connected layer.
LayerKind SpeechKindAt(const SpeechSpec& speech, int layer) {
  static constexpr LayerKind kConvolutions[] = {{"convolution_1", SpeechConvolutionLayer<0>},
                                                {"convolution_2", SpeechConvolutionLayer<1>},
                                                {"convolution_3", SpeechConvolutionLayer<2>}};
  const int convolutions = static_cast<int>(speech.convolutions.size());
  if (layer < convolutions) return kConvolutions[layer];
  if (layer == convolutions) return {"recurrent_first", FirstRecurrentLayer};
  if (layer < convolutions + speech.recurrent_layers) return {"recurrent", RecurrentLayer};
  const bool row = speech.future_frames > 0 && layer == convolutions + speech.recurrent_layers;
  return row ? LayerKind{"row_convolution", RowConvolutionLayer} : LayerKind{"connected", ConnectedLayer};
}

}  // namespace

LayerKind EmbeddingKindOf(const Model& model) {
  return model.speech ? LayerKind{"spectrogram", SpectrogramLayer} : LayerKind{"embedding", EmbeddingLayer};
}

LayerKind HeadKindOf(const Model& model, bool owns_table) {
  if (model.speech) return {"characters", CharacterLayer};
  return {"head", owns_table ? +[](const LayerContext& c) { return HeadLayer(c, true); }
                             : +[](const LayerContext& c) { return HeadLayer(c, false); }};
}

LayerKind LayerKindAt(const Model& model, int layer) {
  if (model.speech) return SpeechKindAt(*model.speech, layer);
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
