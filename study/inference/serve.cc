#include "study/inference/serve.h"

#include <algorithm>
#include <cmath>
#include <thread>

#include "base/text.h"
#include "costmodel/inference/power.h"
#include "study/inference/serving_run.h"

namespace isochrone::study {
namespace {

using sim::serving::Request;
using sim::serving::Served;

constexpr int kMoments = 200;  // as many as a chart can show

/// Power: prompt steps draw the limit's share that power.h gives a typical one, decode steps theirs, the rest idles.
ServingPower PowerOf(const ServeScenario& s, const ServingCosts& c, const std::vector<Request>& requests,
                     const Served& served) {
  const costmodel::PowerModel power = costmodel::PowerOf(s.engine);
  double prompt = 0, pairs = 0, decoded = 0, cached = 0;
  for (const Request& r : requests) {
    const double q = sim::serving::PromptOf(r);
    prompt += q, pairs += q * q / 2, decoded += r.output, cached += r.output * (q + r.output / 2.0);
  }
  plan::StepLoad prompts, decodes;
  prompts.prompt_tokens = prompt, prompts.prompt_pairs = pairs;
  decodes.decoded = decoded, decodes.cached = cached;
  return {c.gpus * power.Watts({}, 0), c.gpus * power.Watts(prompts, served.prompt_seconds),
          c.gpus * power.Watts(decodes, served.decode_seconds)};
}

/// Of the whole run; engines that do nothing idle.
double JoulesOf(const ServingCosts& c, const Served& served, const ServingPower& power) {
  const double idle = std::max(0.0, served.end * c.Engines() - served.Busy());
  return (power.prompt * served.prompt_seconds + power.decode * served.decode_seconds + power.idle * idle) /
         c.Engines();
}

void Warn(ServeAnswer& a) {
  if (a.overloaded)
    a.warnings.push_back("overloaded: the queue grows as long as requests arrive; it kept up with " +
                         ThreeDigits(a.requests_per_s) + " requests/s");
  if (a.turned_away > 0)
    a.warnings.push_back(Grouped(static_cast<std::int64_t>(a.turned_away)) + " requests are longer than the cache of " +
                         Grouped(static_cast<std::int64_t>(a.cache_tokens)) + " tokens and were turned away");
  if (a.empty_prompts > 0)
    a.warnings.push_back(Grouped(static_cast<std::int64_t>(a.empty_prompts)) +
                         " prompts are empty and count as one token, the model's own first");
}

}  // namespace

bool Keeps(const ServeAnswer& answer, const ServiceObjective& objective) {
  return answer.kept >= objective.share && (objective.gap == 0 || answer.gap_p99 <= objective.gap);
}

double HighestRate(const std::function<bool(double)>& keeps, int threads) {
  double low = 0, high = 1;
  if (keeps(1)) {
    low = 1, high = 2;
    while (keeps(high)) {
      low = high, high *= 2;
      if (high > 1e9) return low;
    }
  } else {
    low = 0.5;
    while (!keeps(low)) {
      high = low, low /= 2;
      if (low < 1e-6) return 0;
    }
  }
  const int tries = std::max(1, threads);
  while (high - low > 0.01 * low) {
    std::vector<char> holds(static_cast<std::size_t>(tries));
    std::vector<std::thread> workers;
    const double step = (high - low) / (tries + 1);
    for (int i = 0; i < tries; ++i)
      workers.emplace_back([&, i] { holds[static_cast<std::size_t>(i)] = keeps(low + (i + 1) * step); });
    for (std::thread& worker : workers) worker.join();
    int first_broken = 0;
    while (first_broken < tries && holds[static_cast<std::size_t>(first_broken)]) ++first_broken;
    const double base = low;
    high = first_broken < tries ? base + (first_broken + 1) * step : high;
    low = base + first_broken * step;
  }
  return low;
}

int SearchThreads() { return static_cast<int>(std::clamp(std::thread::hardware_concurrency(), 1U, 16U)); }

ServeAnswer Serve(const ServeScenario& scenario) {
  const ServingCosts costs = ServingCostsOf(scenario);
  const std::vector<Request> requests = scenario.trace.empty() ? RequestsAt(scenario, scenario.rate) : scenario.trace;
  const Served served = Play(scenario, costs, requests, true);
  ServeAnswer answer = Summarise(scenario, costs, requests, served);
  double tokens = 0;
  for (const Request& r : requests) tokens += r.output;
  const ServingPower power = PowerOf(scenario, costs, requests, served);
  answer.joules_per_output_token = tokens > 0 ? JoulesOf(costs, served, power) / tokens : 0;
  answer.over_time = MomentsOf(requests, served, costs.Engines(), power, kMoments);
  if (scenario.objective && scenario.objective->find_rate) {
    answer.highest_rate = HighestRate(
        [&](double rate) {
          const std::vector<Request> at = RequestsAt(scenario, rate);
          return Keeps(Summarise(scenario, costs, at, Play(scenario, costs, at, false)), *scenario.objective);
        },
        SearchThreads());
  }
  Warn(answer);
  return answer;
}

}  // namespace isochrone::study
