// What a run learns from: tokens of sequences, a pure function of step and sequence.
#include <algorithm>
#include <string>

#include "base/error.h"
#include "executor/options.h"
#include "executor/parameters.h"
#include "kernels/philox.h"

namespace isochrone::executor {
namespace {

std::uint64_t StreamOf(std::int64_t step, std::int64_t sequence) {
  return static_cast<std::uint64_t>(step) << 32 | static_cast<std::uint64_t>(sequence);
}

}  // namespace

TokenSource RandomTokens(std::uint64_t seed, std::int64_t vocabulary) {
  return [=](std::int64_t step, std::int64_t sequence, std::span<std::int32_t> tokens) {
    std::vector<std::uint32_t> words(tokens.size());
    kernels::RandomWords(SeedOf(seed, "tokens"), StreamOf(step, sequence), 0, static_cast<Index>(words.size()),
                         words.data());
    for (std::size_t i = 0; i < tokens.size(); ++i)
      tokens[i] = static_cast<std::int32_t>(words[i] % static_cast<std::uint64_t>(vocabulary));
  };
}

TokenSource TextTokens(std::uint64_t seed, const std::string& text, std::int64_t sequence_length) {
  const std::int64_t places = static_cast<std::int64_t>(text.size()) - sequence_length;
  if (places <= 0) {
    throw Error("the text to learn from",
                "has " + std::to_string(text.size()) + " bytes, fewer than a sequence of " +
                    std::to_string(sequence_length) + " and one more",
                "use a longer text or shorter sequences");
  }
  return [=](std::int64_t step, std::int64_t sequence, std::span<std::int32_t> tokens) {
    std::uint32_t word = 0;
    kernels::RandomWords(SeedOf(seed, "text"), StreamOf(step, sequence), 0, 1, &word);
    const std::size_t at = static_cast<std::size_t>(word % static_cast<std::uint64_t>(places));
    for (std::size_t i = 0; i < tokens.size(); ++i) tokens[i] = static_cast<unsigned char>(text[at + i]);
  };
}

}  // namespace isochrone::executor
