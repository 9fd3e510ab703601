#pragma once

#include "plan/program.h"
#include "plan/tape.h"

namespace isochrone::plan {

/// Token (and learned position) embedding over a vocabulary-sharded table, with dropout. tokens (T) → (T', H).
LayerProgram EmbeddingLayer(const LayerContext& context);

/// Attention and MLP with residuals, normalisation first. (T', H) → (T', H), T' = T / tp under sequence parallelism.
/// Source  Shoeybi et al., arXiv 1909.08053, section 3; Korthikanti et al., arXiv 2205.05198, figures 4 to 6.
LayerProgram TransformerLayer(const LayerContext& context);

/// Final normalisation, logits over the sharded vocabulary, cross-entropy. (T', H) → loss.
/// With tied embeddings the table is the embedding's; `owns_table` says whether this rank's stage holds its own copy.
LayerProgram HeadLayer(const LayerContext& context, bool owns_table);

/// Parts that hybrid patterns and expert layers use too. Each takes and returns the residual stream.
int AttentionPart(Tape& tape, int x);
int MlpPart(Tape& tape, int x);

/// The kind of layer `layer` (0-based) of a model, and how to build its program.
struct LayerKind {
  const char* name;
  LayerProgram (*build)(const LayerContext&);
};
LayerKind LayerKindAt(const Model& model, int layer);

}  // namespace isochrone::plan
