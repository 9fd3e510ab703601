#pragma once

#include <utility>
#include <vector>

#include "plan/scenario.h"

namespace isochrone::tests {

// Models of every kind of layer, small enough to build in no time.

inline plan::Model Small() {
  plan::Model m;
  m.name = m.file = "small";
  m.layers = 4;
  m.hidden = 512;
  m.heads = 16;
  m.kv_heads = 16;
  m.head_dim = 32;
  m.ffn = 2048;
  m.sequence = 256;
  m.vocabulary = 1024;
  m.tied_embeddings = false;
  return m;
}

inline plan::Model Gated() {
  plan::Model m = Small();
  m.kv_heads = 4;
  m.mlp = plan::MlpKind::kSwiglu;
  m.normalization = plan::NormKind::kRms;
  m.position = plan::PositionKind::kRotary;
  m.linear_bias = false;
  return m;
}

inline plan::Model Experts(bool padded, double capacity) {
  plan::Model m = Gated();
  m.moe = plan::MoeSpec{.experts = 8, .topk = 2, .ffn = 256, .shared_experts = 1, .shared_ffn = 512, .dense_layers = 1};
  m.moe->padded = padded;
  m.moe->capacity_factor = capacity;
  return m;
}

inline plan::Model Latent() {
  plan::Model m = Experts(false, 0);
  m.mla = plan::MlaSpec{.q_lora = 128, .kv_lora = 64, .qk_nope = 32, .qk_rope = 16, .v = 32};
  m.mtp_layers = 1;
  return m;
}

inline plan::Model Hybrid() {
  plan::Model m = Gated();
  m.kv_heads = 8;
  m.mlp = plan::MlpKind::kSquaredRelu;
  m.layers = 6;
  m.pattern = "M-M*M-";
  m.mamba = plan::MambaSpec{.state = 16, .groups = 8, .head_dim = 64};
  return m;
}

inline plan::Model Windowed() {
  plan::Model m = Gated();
  m.window = 64;
  m.window_every = 2;
  return m;
}

/// Spread over data ranks only, so not one of Models().
inline plan::Model Speech() {
  plan::Model m = Small();
  m.heads = m.kv_heads = 1;
  m.position = plan::PositionKind::kNone;
  m.hidden = 96;
  m.sequence = 100;
  m.vocabulary = 29;
  m.layers = 6;
  m.speech = plan::SpeechSpec{};
  m.speech->convolutions = {
      {.channels = 32, .kernel_frames = 11, .kernel_frequencies = 41, .stride_frames = 2, .stride_frequencies = 2},
      {.channels = 32, .kernel_frames = 11, .kernel_frequencies = 21, .stride_frames = 2, .stride_frequencies = 2}};
  m.speech->frequencies = 41;
  m.speech->recurrent_layers = 3;
  m.speech->labels = 12;
  return m;
}

inline const std::vector<std::pair<const char*, plan::Model>>& Models() {
  static const std::vector<std::pair<const char*, plan::Model>> models = {{"gpt", Small()},
                                                                          {"llama", Gated()},
                                                                          {"dropless", Experts(false, 0)},
                                                                          {"padded", Experts(true, 0)},
                                                                          {"capacity", Experts(false, 1.25)},
                                                                          {"latent", Latent()},
                                                                          {"hybrid", Hybrid()},
                                                                          {"windowed", Windowed()}};
  return models;
}

}  // namespace isochrone::tests
