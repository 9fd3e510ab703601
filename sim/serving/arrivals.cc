#include "sim/serving/arrivals.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace isochrone::sim::serving {

std::uint64_t Random::Bits() {
  std::uint64_t z = state_ += 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

double Random::Uniform() { return (static_cast<double>(Bits() >> 11) + 0.5) * 0x1.0p-53; }

double Random::Exponential() { return -std::log(Uniform()); }

double Random::Normal() {
  const double radius = std::sqrt(2 * Exponential());  // Box and Muller
  return radius * std::cos(2 * std::numbers::pi * Uniform());
}

const std::vector<std::string>& LengthKindNames() {
  static const std::vector<std::string> names = {"fixed", "uniform", "exponential", "lognormal", "zipf", "of_prompt"};
  return names;
}

std::int32_t Lengths::Draw(Random& random, std::int32_t prompt) const {
  double tokens = mean;
  switch (kind) {
    case LengthKind::kFixed:
      break;
    case LengthKind::kUniform:
      tokens = least + (most - least) * random.Uniform();
      break;
    case LengthKind::kExponential:
      tokens = mean * random.Exponential();
      break;
    case LengthKind::kLognormal:
      tokens = std::exp(std::log(mean) - deviation * deviation / 2 + deviation * random.Normal());
      break;
    case LengthKind::kZipf: {
      const double power = 1 - exponent, low = std::pow(least, power), high = std::pow(most, power);
      tokens = std::pow(low + (high - low) * random.Uniform(), 1 / power);
      break;
    }
    case LengthKind::kOfPrompt:
      tokens = ratio * prompt;
      break;
  }
  return static_cast<std::int32_t>(std::lround(std::clamp(tokens, least, most)));
}

std::vector<Request> Poisson(double rate, std::size_t count, const Lengths& prompt, const Lengths& output,
                             std::uint64_t seed) {
  Random random(seed);
  std::vector<Request> requests(count);
  double now = 0;
  for (Request& r : requests) {
    now += random.Exponential() / rate;
    r.arrival = now, r.prompt = prompt.Draw(random), r.output = output.Draw(random, r.prompt);
  }
  return requests;
}

}  // namespace isochrone::sim::serving
