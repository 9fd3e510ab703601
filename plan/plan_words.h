#pragma once

#include <variant>

#include "plan/op_fields.h"

namespace isochrone::plan {

/// The words of a plan's text, in the order of the enumerators or alternatives that they stand for.
inline const Words kKindWords = {"gemm",        "grouped_gemm",  "attention",     "softmax",    "normalization",
                                 "elementwise", "embedding",     "cross_entropy", "collective", "message",
                                 "optimizer",   "gradient_norm", "transfer",      "route",      "permute",
                                 "scan",        "convolution",   "recurrent"};
static_assert(std::variant_size_v<OpKind> == 18);

inline const Words& StreamWords() {
  static const Words words = [] {
    Words w;
    for (int i = 0; i < kStreams; ++i) w.push_back(NameOf(static_cast<Stream>(i)));
    return w;
  }();
  return words;
}

inline const Words kBufferWords = {"parameter", "gradient", "optimizer", "activation", "workspace", "communication"};
inline const Words kLifetimeWords = {"task", "microbatch", "step", "persistent"};

}  // namespace isochrone::plan
