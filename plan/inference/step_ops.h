#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "plan/inference/inference_scenario.h"
#include "plan/op.h"

namespace isochrone::plan {

/// What one attention layer of one tensor rank does with its cache. `kernel`: its heads and sizes; queries and keys are
/// those of a step. Latent attention keeps `latent` numbers a token, which all heads read as keys and as values.
struct CacheUse {
  Attention kernel;
  std::int64_t latent = 0;      // 0: keys and values of each head
  std::int64_t latent_key = 0;  // of them, those that only keys have (rotated part)
  /// Stored per cached token on one rank.
  double Elements() const {
    return latent > 0 ? static_cast<double>(latent)
                      : static_cast<double>(kernel.kv_heads * (kernel.qk_dim + kernel.v_dim));
  }
  /// Multiply-adds, counted as two each, of one query token per cached token.
  double FlopsPerCachedToken() const {
    const auto heads = static_cast<double>(kernel.heads);
    if (latent > 0) return 2 * heads * static_cast<double>(2 * latent - latent_key);
    return 2 * heads * static_cast<double>(kernel.qk_dim + kernel.v_dim);
  }
};

/// One kind of layer on one rank in a step of T tokens: every op but attention's core and the scan, which depend on
/// what is cached, not on T alone.
struct InferenceLayer {
  std::string name;
  std::vector<Op> ops;
  std::optional<CacheUse> cache;
  std::optional<Scan> scan;   // of prompts; a decoded token updates `state` instead
  double state_elements = 0;  // recurrent and convolution state of one sequence
  double parameters = 0;      // that this rank holds
  double vectors = 0;         // of them, in vectors: stored as activations are
  Bytes workspace;            // most bytes alive at once
};

/// `count` equal layers in a row on one stage.
struct InferenceSection {
  std::size_t layer = 0;
  int count = 1;
};

struct InferenceStep {
  std::vector<InferenceLayer> layers;
  std::vector<std::vector<InferenceSection>> stages;  // [pipeline rank]
  Bytes message;                                      // between stages
};

/// What one rank of each stage does in a step of `tokens` tokens (prompts' and decoded ones alike), of which `scored`
/// need a next token; the head is a stage's layer like the others, known by its name "head". From the programs that
/// training uses, forward pass only: no loss, no dropout. Experts:
///
///   touched = E (1 - (1 - k/E)^T)     experts whose weights a step reads, of E with k visited by each of T tokens
///   rows    = T k / ep                on each rank of an expert group; each expert's columns are cut by etp
///
/// Source  Kwon et al., "PagedAttention", arXiv 2309.06180, for steps over a flat list of tokens; DeepSeek-V2, arXiv
///         2405.04434, section 2.1.2, for latent attention whose up-projections are absorbed (the same products, moved
///         from each cached token to each query).
InferenceStep StepOf(const InferenceScenario& scenario, std::int64_t tokens, std::int64_t scored);

}  // namespace isochrone::plan
