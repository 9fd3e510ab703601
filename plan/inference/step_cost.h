#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <vector>

#include "base/units.h"

namespace isochrone::plan {

/// What one step of an engine works on. A prompt (or a piece of one) of `q` tokens that follow `c` cached ones meets
/// q c + q²/2 pairs; decoded tokens meet everything their sequences have cached.
struct StepLoad {
  double prompt_tokens = 0;  // Σ q over the pieces of prompts in the step
  double prompt_pairs = 0;   // Σ q (c + q/2)
  double pieces = 0;         // of prompts
  double decoded = 0;        // sequences that decode one token each
  double cached = 0;         // Σ tokens that they have cached
};

/// Seconds over a count, piecewise linear between powers of two and their halves, extended by its last slope.
struct CountCurve {
  static constexpr int kPoints = 48;  // counts 1, 1.5, 2, 3, 4, 6, 8, … 1.5·2^23
  std::array<double, kPoints> seconds{};

  static double CountAt(int i) { return (i % 2 == 0 ? 1.0 : 1.5) * static_cast<double>(std::int64_t{1} << (i / 2)); }

  /// count ≥ 0; 0 costs nothing, and below 1 all of 1.
  double operator()(double count) const {
    if (count <= 1) return count <= 0 ? 0 : seconds[0];
    int exponent = 0;
    const double mantissa = std::frexp(count, &exponent);  // count = mantissa 2^exponent, mantissa in [0.5, 1)
    int i = 2 * (exponent - 1) + (mantissa >= 0.75 ? 1 : 0);
    if (i > kPoints - 2) i = kPoints - 2;
    const auto at = static_cast<std::size_t>(i);
    const double low = CountAt(i), high = CountAt(i + 1);
    return seconds[at] + (seconds[at + 1] - seconds[at]) * (count - low) / (high - low);
  }
};

/// Time of a step of one pipeline stage as a function of what is in it; filled once from the price of layer programs,
/// evaluated in nanoseconds. SI units throughout; plain numbers because this is an inner loop.
///
///   t    = host + host_per_sequence (decoded + pieces) + max(gpu, enqueue)
///   gpu  = work(prompt tokens + decoded) + head(decoded + pieces)
///          + [decoded > 0] (decode_floor + per_cached Σ cached + per_decoded decoded)
///          + [pieces > 0]  (prompt_floor + per_pair pairs + per_prompt_token prompt tokens)
///
/// work     products, norms, activations, collectives of the layers
/// head     logits and sampling of the sequences that get a next token
/// enqueue  time for the host to launch the kernels of the step, one after the other (0 for a captured graph)
struct StepCost {
  CountCurve work, head;
  double host = 0, host_per_sequence = 0;
  double enqueue_decode = 0, enqueue_prompt = 0;
  double decode_floor = 0, per_cached = 0, per_decoded = 0;
  double prompt_floor = 0, per_pair = 0, per_prompt_token = 0;

  double Gpu(const StepLoad& s) const {
    double t = work(s.prompt_tokens + s.decoded) + head(s.decoded + s.pieces);
    if (s.decoded > 0) t += decode_floor + per_cached * s.cached + per_decoded * s.decoded;
    if (s.pieces > 0) t += prompt_floor + per_pair * s.prompt_pairs + per_prompt_token * s.prompt_tokens;
    return t;
  }

  double Seconds(const StepLoad& s) const {
    const double gpu = Gpu(s), enqueue = s.pieces > 0 ? enqueue_prompt : enqueue_decode;
    return host + host_per_sequence * (s.decoded + s.pieces) + (gpu > enqueue ? gpu : enqueue);
  }

  /// Time of `steps` steps in which the same `decoded` sequences decode, Σ cached growing by `decoded` each step:
  ///
  ///   Σ_{i<k} max(a + b i, enqueue_decode) + fixed k,   a = gpu of the first, b = per_cached decoded
  ///
  /// in closed form: the maximum turns from enqueue to the line once.
  double DecodeRun(double decoded, double cached, double steps) const {
    const double a = Gpu({.decoded = decoded, .cached = cached}), b = per_cached * decoded;
    const double fixed = (host + host_per_sequence * decoded) * steps;
    double under = 0;  // steps that the host bounds
    if (a < enqueue_decode) {
      under = b > 0 ? std::ceil((enqueue_decode - a) / b) : steps;
      if (under > steps) under = steps;
    }
    const double over = steps - under;
    return fixed + under * enqueue_decode + over * (a + b * under) + b * over * (over - 1) / 2;
  }
};

/// The stages of one replica, and what passes between them.
struct ReplicaCost {
  std::vector<StepCost> stages;
  double message_latency = 0, message_per_token = 0;  // between neighbouring stages

  /// One step through all stages, alone in the pipeline.
  double Latency(const StepLoad& s) const {
    double t = 0;
    for (const StepCost& stage : stages) t += stage.Seconds(s);
    return t + Message(s) * static_cast<double>(stages.size() - 1);
  }
  double Message(const StepLoad& s) const {
    return stages.size() > 1 ? message_latency + message_per_token * (s.prompt_tokens + s.decoded) : 0;
  }
};

}  // namespace isochrone::plan
