#pragma once

#include <cstdint>
#include <vector>

namespace isochrone::sim::serving {

/// One question to a model. A prompt without tokens starts from the model's own first token and so has one; an answer
/// without tokens ends with its prompt.
struct Request {
  double arrival = 0;  // s
  std::int32_t prompt = 1, output = 1;
};

enum class Fate : std::uint8_t { kServed, kTooLong };

/// What became of a request. kTooLong: its prompt and answer exceed what the whole cache holds; it was turned away on
/// arrival.
struct Outcome {
  double first_token = 0, finish = 0;  // s, on the clock of the arrivals
  std::int32_t preemptions = 0;        // times that its cache was dropped and computed again
  Fate fate = Fate::kServed;
};

/// How the prompts of a step lie in memory: one after the other, each in a row as long as the longest, or several in
/// such a row (see packing.h).
enum class PromptLayout : std::uint8_t { kFlat, kPadded, kPacked };

/// What an engine may hold and do at once.
struct Limits {
  double cache_tokens = 1e18;      // of all sequences together
  std::int64_t sequences = 256;    // that run at once
  double token_budget = 8192;      // tokens of one step; a longer prompt has a step of its own where it is not cut
  std::int64_t block_tokens = 16;  // of a page of the cache
  bool fuses_prompts = true;       // prompts and decoded tokens share steps; else prompts go first, alone
  PromptLayout layout = PromptLayout::kFlat;  // of prompts that leave as a batch
};

/// A stretch of time in which an engine did one kind of thing.
enum class Phase : std::uint8_t { kPrompt, kDecode };
struct Stretch {
  double start = 0, end = 0;
  Phase phase = Phase::kDecode;
};

/// Time between two tokens of a sequence, and how many tokens came after that long.
struct Gap {
  double seconds = 0, tokens = 0;
};

/// One run of a scheduler over a trace, in the order of the requests.
struct Served {
  std::vector<Outcome> outcomes;
  double end = 0;             // when the last request was finished
  double prompt_seconds = 0;  // of steps that held prompts
  double decode_seconds = 0;
  double bubble_seconds = 0;  // of all stages of a pipeline, waiting between two steps
  std::int64_t steps = 0, prompt_steps = 0, preemptions = 0;
  std::vector<double> bubbles;     // of a pipeline: s, in front of the steps of each request
  std::vector<Gap> gaps;           // of all decoded tokens, a run of steps at its mean
  std::vector<Stretch> stretches;  // where asked for
  double Busy() const { return prompt_seconds + decode_seconds; }
};

/// Whether the engine could ever hold the request.
inline bool Fits(const Request& r, const Limits& limits) {
  return static_cast<double>(r.prompt) + static_cast<double>(r.output) <= limits.cache_tokens;
}
inline std::int32_t PromptOf(const Request& r) { return r.prompt > 0 ? r.prompt : 1; }

}  // namespace isochrone::sim::serving
