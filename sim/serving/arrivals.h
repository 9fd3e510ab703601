#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim/serving/request.h"

namespace isochrone::sim::serving {

/// Random numbers that are the same on every machine. Source  Steele, Lea & Flood, "Fast splittable pseudorandom number
/// generators", OOPSLA 2014 (SplitMix64).
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  std::uint64_t Bits();
  double Uniform();      // in (0, 1)
  double Exponential();  // of mean 1
  double Normal();       // of mean 0, deviation 1

 private:
  std::uint64_t state_;
};

enum class LengthKind : std::uint8_t { kFixed, kUniform, kExponential, kLognormal, kZipf, kOfPrompt };
const std::vector<std::string>& LengthKindNames();

/// Tokens of prompts or answers, rounded to whole ones from `least` to `most`.
///
///   fixed        mean
///   uniform      from least to most
///   exponential  of that mean
///   lognormal    exp(m + deviation z), m = ln mean - deviation²/2
///   zipf         density in proportion to length^-exponent from least to most; exponent is not 1
///   of_prompt    of answers: ratio times the prompt's tokens
struct Lengths {
  LengthKind kind = LengthKind::kFixed;
  double mean = 1, deviation = 1, least = 1, most = 1e6;
  double exponent = 0, ratio = 1;
  std::int32_t Draw(Random& random, std::int32_t prompt = 0) const;
};

/// A Poisson process: exponential gaps of mean 1/rate, from time 0.
std::vector<Request> Poisson(double rate, std::size_t count, const Lengths& prompt, const Lengths& output,
                             std::uint64_t seed);

}  // namespace isochrone::sim::serving
