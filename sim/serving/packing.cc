#include "sim/serving/packing.h"

#include <algorithm>
#include <numeric>

namespace isochrone::sim::serving {

const std::vector<std::string>& PromptLayoutNames() {
  static const std::vector<std::string> names = {"flat", "padded", "packed"};
  return names;
}

std::vector<Bin> FirstFitDecreasing(const std::vector<std::int32_t>& lengths, double capacity) {
  std::vector<std::size_t> order(lengths.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return lengths[a] > lengths[b]; });
  std::vector<Bin> bins;
  for (const std::size_t i : order) {
    const double length = lengths[i];
    auto bin = std::find_if(bins.begin(), bins.end(), [&](const Bin& b) { return b.filled + length <= capacity; });
    if (bin == bins.end()) bin = bins.insert(bins.end(), Bin{});
    bin->filled += length;
    bin->members.push_back(i);
  }
  return bins;
}

plan::StepLoad PromptStep(const std::vector<std::int32_t>& lengths, PromptLayout layout) {
  plan::StepLoad load;
  if (lengths.empty()) return load;
  load.pieces = static_cast<double>(lengths.size());
  for (const double length : lengths) load.prompt_tokens += length, load.prompt_pairs += length * length / 2;
  const double longest = *std::max_element(lengths.begin(), lengths.end());
  if (layout == PromptLayout::kPadded) {
    load.prompt_tokens = load.pieces * longest, load.prompt_pairs = load.prompt_tokens * longest / 2;
  } else if (layout == PromptLayout::kPacked) {
    load.prompt_tokens = static_cast<double>(FirstFitDecreasing(lengths, longest).size()) * longest;
  }
  return load;
}

}  // namespace isochrone::sim::serving
