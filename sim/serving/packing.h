#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "plan/inference/step_cost.h"
#include "sim/serving/request.h"

namespace isochrone::sim::serving {

/// "flat", "padded", "packed".
const std::vector<std::string>& PromptLayoutNames();

/// Prompts put into one row of the step, one after the other.
struct Bin {
  double filled = 0;
  std::vector<std::size_t> members;
};

/// Longest prompt first, each into the first bin that has room. Bins in the order in which they were opened.
/// Source  Zhao et al., "Prepacking: a simple method for fast prefilling and increased throughput in large language
///         models", arXiv 2404.09529; Johnson, "Near-optimal bin packing algorithms", MIT, 1973.
std::vector<Bin> FirstFitDecreasing(const std::vector<std::int32_t>& lengths, double capacity);

/// The step of prompts of these lengths, n of them, the longest of L tokens:
///
///   flat     Σ q tokens, Σ q²/2 pairs
///   padded   n L tokens, n L²/2 pairs
///   packed   b L tokens, Σ q²/2 pairs: b rows by first fit; attention is block-diagonal, so each prompt meets its own
///            tokens only
plan::StepLoad PromptStep(const std::vector<std::int32_t>& lengths, PromptLayout layout);

}  // namespace isochrone::sim::serving
