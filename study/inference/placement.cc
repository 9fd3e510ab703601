#include "study/inference/placement.h"

#include <algorithm>
#include <atomic>
#include <functional>
#include <thread>

#include "base/error.h"
#include "costmodel/inference/step_price.h"
#include "sim/serving/pools.h"
#include "study/inference/serving_run.h"

namespace isochrone::study {
namespace {

using sim::serving::Request;

constexpr std::size_t kPlayedTogether = 4;

/// Calls work(i) for i below n, on as many threads as this machine has.
void InParallel(std::size_t n, const std::function<void(std::size_t)>& work) {
  std::atomic<std::size_t> next{0};
  std::vector<std::thread> workers;
  for (int t = 0; t < SearchThreads(); ++t)
    workers.emplace_back([&] {
      for (std::size_t i = next++; i < n; i = next++) work(i);
    });
  for (std::thread& worker : workers) worker.join();
}

double HighestRateOf(const ServeScenario& s, const ServingCosts& costs) {
  return HighestRate(
      [&](double rate) {
        const std::vector<Request> requests = RequestsAt(s, rate);
        return Keeps(Summarise(s, costs, requests, Play(s, costs, requests, false)), *s.objective);
      },
      1);
}

double JointRate(ServeScenario s, int tensor, int pipeline) {
  s.engine = WithDegrees(s.engine, tensor, pipeline);
  return HighestRateOf(s, ServingCostsOf(s));
}

plan::InferenceScenario PoolEngine(const ServeScenario& s, int tensor, int pipeline) {
  plan::InferenceScenario engine = s.engine;
  if (!s.search->separated_engine.empty()) engine.strategy.engine = s.search->separated_engine;
  return WithDegrees(engine, tensor, pipeline);
}

/// Of prompts alone on one replica, under the promise on first tokens.
double PromptRate(const ServeScenario& s, int tensor, int pipeline) {
  const plan::InferenceScenario engine = PoolEngine(s, tensor, pipeline);
  CacheOf(engine);
  const plan::ReplicaCost cost = costmodel::ReplicaCostOf(engine);
  const double promise = s.objective->first_token;
  return HighestRate(
      [&](double rate) {
        const std::vector<Request> requests = RequestsAt(s, rate);
        const sim::serving::Served served = sim::serving::PromptPool({requests, cost, s.limits});
        std::size_t kept = 0;
        for (std::size_t i = 0; i < requests.size(); ++i)
          kept += promise == 0 || served.outcomes[i].first_token - requests[i].arrival <= promise;
        const double share = static_cast<double>(kept) / static_cast<double>(requests.size());
        // Without a promise the rate is what keeps the replica busy.
        const double last = requests.back().arrival;
        return promise > 0 ? share >= s.objective->share : served.end <= 1.05 * last;
      },
      1);
}

/// Of decoding alone on one replica whose prompts come ready from elsewhere, under the promise on further tokens.
double DecodeRate(ServeScenario s, int tensor, int pipeline) {
  s.engine = PoolEngine(s, tensor, pipeline);
  const double promised_first = s.objective->first_token;
  s.objective->first_token = 0;
  s.separation = Separation{
      .prompt_tensor = tensor, .decode_tensor = tensor, .prompt_pipeline = pipeline, .decode_pipeline = pipeline};
  ServingCosts costs = ServingCostsOf(s);
  for (plan::StepCost& stage : costs.replica.stages) stage = {};  // prompts cost nothing here
  costs.transfer_latency = costs.transfer_per_token = 0;
  const bool bounded = s.objective->per_token > 0 || s.objective->gap > 0;
  if (!bounded) s.objective->first_token = promised_first;
  return HighestRateOf(s, costs);
}

/// Rates of every plan in the search's grid; best per GPU first.
std::vector<PlanRate> RatesOf(const PlanSearch& search, const std::function<double(int, int)>& rate) {
  std::vector<PlanRate> plans;
  for (const int tensor : search.tensor)
    for (const int pipeline : search.pipeline) plans.push_back({.tensor = tensor, .pipeline = pipeline});
  InParallel(plans.size(), [&](std::size_t i) {
    PlanRate& p = plans[i];
    try {
      p.rate = rate(p.tensor, p.pipeline);
    } catch (const Error& e) {
      p.refused = e.what();
    }
  });
  std::stable_sort(plans.begin(), plans.end(), [](const PlanRate& a, const PlanRate& b) {
    if (a.refused.empty() != b.refused.empty()) return a.refused.empty();
    return a.PerGpu() > b.PerGpu();
  });
  return plans;
}

/// The replicas of a pair that balance best. Fewest GPUs among equals.
PoolsRate Balanced(const PlanRate& prompt, const PlanRate& decode, int most_gpus) {
  PoolsRate best{.prompt = prompt, .decode = decode};
  for (int n = 1; n * prompt.Gpus() < most_gpus; ++n) {
    for (int m = 1; n * prompt.Gpus() + m * decode.Gpus() <= most_gpus; ++m) {
      PoolsRate pools{.prompt = prompt, .decode = decode, .prompt_replicas = n, .decode_replicas = m};
      pools.rate = std::min(n * prompt.rate, m * decode.rate);
      if (pools.PerGpu() > best.PerGpu() * (1 + 1e-9)) best = pools;
    }
  }
  return best;
}

void PlayTogether(const ServeScenario& scenario, PoolsRate& pools) {
  ServeScenario s = scenario;
  s.separation = Separation{.prompt_replicas = pools.prompt_replicas,
                            .decode_replicas = pools.decode_replicas,
                            .prompt_tensor = pools.prompt.tensor,
                            .decode_tensor = pools.decode.tensor,
                            .prompt_pipeline = pools.prompt.pipeline,
                            .decode_pipeline = pools.decode.pipeline,
                            .transfer_bytes_per_s = s.search->transfer_bytes_per_s,
                            .engine = s.search->separated_engine};
  pools.rate = HighestRateOf(s, ServingCostsOf(s));
}

std::vector<PoolsRate> Separated(const ServeScenario& s, const SearchAnswer& a) {
  std::vector<PoolsRate> pairs;
  for (const PlanRate& prompt : a.prompt) {
    for (const PlanRate& decode : a.decode) {
      if (prompt.rate == 0 || decode.rate == 0) continue;
      const PoolsRate pools = Balanced(prompt, decode, s.search->most_gpus);
      if (pools.rate > 0) pairs.push_back(pools);
    }
  }
  const auto better = [](const PoolsRate& x, const PoolsRate& y) { return x.PerGpu() > y.PerGpu(); };
  std::stable_sort(pairs.begin(), pairs.end(), better);
  if (pairs.size() > kPlayedTogether) pairs.resize(kPlayedTogether);
  InParallel(pairs.size(), [&](std::size_t i) { PlayTogether(s, pairs[i]); });
  std::stable_sort(pairs.begin(), pairs.end(), better);
  return pairs;
}

}  // namespace

double SearchAnswer::Gain() const {
  if (joint.empty() || separated.empty() || joint.front().rate == 0) return 0;
  return separated.front().PerGpu() / joint.front().PerGpu();
}

SearchAnswer SearchPlans(const ServeScenario& scenario) {
  SearchAnswer a;
  a.joint = RatesOf(*scenario.search, [&](int t, int p) { return JointRate(scenario, t, p); });
  a.prompt = RatesOf(*scenario.search, [&](int t, int p) { return PromptRate(scenario, t, p); });
  a.decode = RatesOf(*scenario.search, [&](int t, int p) { return DecodeRate(scenario, t, p); });
  a.separated = Separated(scenario, a);
  return a;
}

}  // namespace isochrone::study
