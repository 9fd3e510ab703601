#pragma once

#include <algorithm>

#include "kernels/types.h"

namespace isochrone::kernels {

/// Which keys a query sees, from their positions in the whole sequence.
///
///   query i is at first_query + i, key j at first_key + j;  i sees j  <=>  position(j) <= position(i)  if causal
///                                                           and  position(j) > position(i) - window    if window > 0
///
/// The first positions let a rank of a context-parallel group hold a slice of the queries and another of the keys.
/// Source of the window  Beltagy, Peters & Cohan, "Longformer", arXiv:2004.05150; Jiang et al., "Mistral 7B",
///                       arXiv:2310.06825 (window counts the query itself).
struct AttentionMask {
  bool causal = true;
  Index first_query = 0;
  Index first_key = 0;
  Index window = 0;

  /// The keys that query i sees are [First(i, keys), Last(i, keys)); First <= Last, and both grow with i.
  Index First(Index i, Index keys) const {
    return window > 0 ? std::clamp<Index>(first_query + i - window + 1 - first_key, 0, keys) : 0;
  }
  Index Last(Index i, Index keys) const {
    return causal ? std::clamp<Index>(first_query + i + 1 - first_key, 0, keys) : keys;
  }
};

}  // namespace isochrone::kernels
