#pragma once

#include <string>

#include "plan/program.h"
#include "plan/tape.h"

namespace isochrone::plan {

/// Token (and learned position) embedding over a vocabulary-sharded table, with dropout. tokens (T) → (T', H).
LayerProgram EmbeddingLayer(const LayerContext& context);

/// Attention and MLP with residuals, normalisation first. (T', H) → (T', H), T' = T / tp under sequence parallelism.
/// Source  Shoeybi et al., arXiv 1909.08053, section 3; Korthikanti et al., arXiv 2205.05198, figures 4 to 6.
LayerProgram TransformerLayer(const LayerContext& context);
/// The same where a query sees the last `window` tokens only.
LayerProgram WindowedLayer(const LayerContext& context);

/// Attention and a mixture of experts. Source  Lepikhin et al., arXiv 2006.16668; dropless: Gale et al., arXiv
/// 2211.15841.
LayerProgram ExpertLayer(const LayerContext& context);
LayerProgram WindowedExpertLayer(const LayerContext& context);

/// Layers of a hybrid: one part each, with its normalisation and residual.
LayerProgram AttentionLayer(const LayerContext& context);
LayerProgram MlpLayer(const LayerContext& context);
LayerProgram MambaLayer(const LayerContext& context);

/// Final normalisation, logits over the sharded vocabulary, cross-entropy. (T', H) → loss.
/// With tied embeddings the table is the embedding's; `owns_table` says whether this rank's stage holds its own copy.
LayerProgram HeadLayer(const LayerContext& context, bool owns_table);

/// Speech: what enters is (B, frames, frequencies), then (B, frames / strides, width). All sizes follow from
/// Model::speech. Source  Amodei et al., arXiv 1512.02595, section 3; row convolution: section 3.7.
LayerProgram SpectrogramLayer(const LayerContext& context);  // the input, on which nothing is done
/// Convolution `index` with its batch normalisation and clipped ReLU.
LayerProgram SpeechConvolution(const LayerContext& context, int index);
template <int kIndex>
LayerProgram SpeechConvolutionLayer(const LayerContext& context) {
  return SpeechConvolution(context, kIndex);
}
/// h_t = f(norm(W x_t) + U h_{t−1}), in both directions with one W, their states added up.
LayerProgram FirstRecurrentLayer(const LayerContext& context);  // behind a convolution
LayerProgram RecurrentLayer(const LayerContext& context);       // behind another
LayerProgram RowConvolutionLayer(const LayerContext& context);
LayerProgram ConnectedLayer(const LayerContext& context);
/// Characters of every frame, and the connectionist temporal classification loss.
LayerProgram CharacterLayer(const LayerContext& context);

/// One multi-token-prediction module: the hidden state and the embedding of the next token, both normalised, are
/// projected back to H, pass a layer like the model's last, and are scored against the model's own table. (T', H) →
/// (T', H). Source  DeepSeek-V3, arXiv 2412.19437, section 2.2.
LayerProgram MultiTokenLayer(const LayerContext& context);

// ---- parts; each takes and returns the residual stream (T', H) ------------------------------------------------------

int AttentionPart(Tape& tape, int x);
/// Queries, keys and values through low-rank projections. Source  DeepSeek-V2, arXiv 2405.04434, section 2.1.
int LatentAttentionPart(Tape& tape, int x);
int MlpPart(Tape& tape, int x);
/// Router, dispatch, experts, return, shared experts.
int ExpertPart(Tape& tape, int x);

/// Without norm and residual: normalised rows (T', H) → (T', H) through a width of `ffn` over all tensor ranks.
int MlpBody(Tape& tape, const std::string& prefix, int normed, std::int64_t ffn);

struct MlpActivation {
  ElementwiseKind kind;
  bool gated;
};
MlpActivation ActivationOf(const Model& model);

/// Heads of one tensor rank.
struct CoreHeads {
  std::int64_t query, key_value, qk, value;  // counts, and sizes of one query or key and of one value
  std::int64_t PackedKeys() const { return key_value * (qk + value); }
  std::int64_t Packed() const { return query * qk + PackedKeys(); }
};
/// Packed qkv (T, ·) → (T, A D), in the form that the strategy names.
int CoreAttention(Tape& tape, int qkv, const CoreHeads& heads);

/// The same where context ranks hold S / cp positions each.
///
///   ring        cp steps of attention; while one runs, the next rank's keys and values arrive, and on the way back
///               their gradients leave. Causal: each rank holds an early and a late piece of the sequence, so every
///               step after the first is half a square. Source  Liu et al., arXiv 2310.01889; Brandon et al.,
///               arXiv 2311.09431.
///   all-gather  keys and values of all positions are gathered, gathered again in the backward pass, and their
///               gradients reduce-scattered. Source  Llama 3, arXiv 2407.21783, section 3.3.2.
///   Ulysses     all-to-all from positions to heads and back. Source  Jacobs et al., arXiv 2309.14509.
int ContextAttention(Tape& tape, int qkv, const CoreHeads& heads);
/// Attention over (B, S) positions without any exchange; what the forms above are made of.
int WholeAttention(Tape& tape, int qkv, const CoreHeads& heads, std::int64_t positions);

/// Final norm, logits against `table`, loss.
void LossPart(Tape& tape, int x, int table);

/// The kind of layer `layer` (0-based) of a model, and how to build its program.
struct LayerKind {
  const char* name;
  LayerProgram (*build)(const LayerContext&);
};
LayerKind LayerKindAt(const Model& model, int layer);
/// What goes before the first and after the last.
LayerKind EmbeddingKindOf(const Model& model);
LayerKind HeadKindOf(const Model& model, bool owns_table);

}  // namespace isochrone::plan
