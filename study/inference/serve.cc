#include "study/inference/serve.h"

#include <algorithm>
#include <cmath>
#include <thread>

#include "base/error.h"
#include "base/statistics.h"
#include "base/text.h"
#include "costmodel/inference/power.h"
#include "costmodel/inference/step_price.h"
#include "plan/inference/memory.h"
#include "sim/serving/pools.h"

namespace isochrone::study {
namespace {

using sim::serving::Limits;
using sim::serving::Request;
using sim::serving::Served;

constexpr int kMoments = 200;  // as many as a chart can show

/// What one run needs and does not change from rate to rate.
struct Prepared {
  plan::StepCost cost, prompt_cost, decode_cost;
  Limits limits;
  int engines = 1, gpus = 1;
  double transfer_per_token = 0;
};

/// The stages of a replica as one engine: as many groups of sequences as stages take turns, so each group sees all
/// stages one after the other, and a replica counts as that many engines.
plan::StepCost OneEngine(const plan::ReplicaCost& replica) {
  plan::StepCost sum = replica.stages.front();
  for (std::size_t i = 1; i < replica.stages.size(); ++i) {
    const plan::StepCost& s = replica.stages[i];
    for (std::size_t p = 0; p < sum.work.seconds.size(); ++p) {
      sum.work.seconds[p] +=
          s.work.seconds[p] + replica.message_per_token * plan::CountCurve::CountAt(static_cast<int>(p));
      sum.head.seconds[p] += s.head.seconds[p];
    }
    sum.host += s.host + replica.message_latency, sum.host_per_sequence += s.host_per_sequence;
    sum.enqueue_decode += s.enqueue_decode, sum.enqueue_prompt += s.enqueue_prompt;
    sum.decode_floor += s.decode_floor, sum.per_cached += s.per_cached, sum.per_decoded += s.per_decoded;
    sum.prompt_floor += s.prompt_floor, sum.per_pair += s.per_pair, sum.per_prompt_token += s.per_prompt_token;
  }
  return sum;
}

plan::InferenceScenario WithTensor(plan::InferenceScenario scenario, int tensor) {
  scenario.strategy.tensor = tensor, scenario.strategy.replicas = 1;
  plan::Settle(scenario);
  return scenario;
}

double CacheOf(const plan::InferenceScenario& engine) {
  const double tokens = plan::CacheCapacity(engine);
  if (tokens <= 0)
    throw Error(engine.base.file + ": /strategy/tensor = " + std::to_string(engine.strategy.tensor),
                "leaves no memory for the cache: the weights alone fill the GPUs",
                "use more tensor or pipeline ranks, or narrower weights");
  return tokens;
}

Prepared Prepare(const ServeScenario& s) {
  Prepared p;
  p.limits = s.limits;
  if (s.separation) {
    const Separation& pools = *s.separation;
    const plan::InferenceScenario prompt = WithTensor(s.engine, pools.prompt_tensor),
                                  decode = WithTensor(s.engine, pools.decode_tensor);
    p.prompt_cost = OneEngine(costmodel::ReplicaCostOf(prompt)),
    p.decode_cost = OneEngine(costmodel::ReplicaCostOf(decode));
    p.limits.cache_tokens = std::min(p.limits.cache_tokens, CacheOf(decode));
    p.gpus = pools.prompt_replicas * pools.prompt_tensor + pools.decode_replicas * pools.decode_tensor;
    const plan::InferenceStep step = plan::StepOf(decode, 1, 1);
    const double bytes = plan::CacheBytesOf(decode, step, 0).per_token.value * pools.decode_tensor;
    const double link =
        pools.transfer_bytes_per_s > 0 ? pools.transfer_bytes_per_s : s.engine.base.cluster.node.link_bandwidth.value;
    p.transfer_per_token = bytes / link;
    p.engines = pools.prompt_replicas + pools.decode_replicas;
    return p;
  }
  p.cost = OneEngine(costmodel::ReplicaCostOf(s.engine));
  const double stages = s.engine.strategy.pipeline;
  p.engines = s.engine.strategy.replicas * s.engine.strategy.pipeline;
  p.gpus = s.engine.Gpus();
  p.limits.cache_tokens = std::floor(std::min(p.limits.cache_tokens, CacheOf(s.engine)) / stages);
  return p;
}

Served Run(const ServeScenario& s, const Prepared& p, const std::vector<Request>& requests, bool trace) {
  if (s.separation) {
    return sim::serving::Separated({.requests = requests,
                                    .prompt_cost = p.prompt_cost,
                                    .decode_cost = p.decode_cost,
                                    .limits = p.limits,
                                    .prompt_engines = s.separation->prompt_replicas,
                                    .decode_engines = s.separation->decode_replicas,
                                    .transfer_latency = s.engine.base.cluster.node.link_latency.value,
                                    .transfer_per_token = p.transfer_per_token,
                                    .trace = trace});
  }
  return sim::serving::ServeOnAll(s.scheduler, {requests, p.cost, p.limits, trace}, p.engines);
}

Percentiles PercentilesOf(std::vector<double>& values) {
  if (values.empty()) return {};
  std::sort(values.begin(), values.end());
  return {Mean(values), Quantile(values, 0.5), Quantile(values, 0.9), Quantile(values, 0.99)};
}

/// The gap that a share `q` of the tokens does not exceed.
double GapAt(std::vector<sim::serving::Gap>& sorted, double tokens, double q) {
  double seen = 0;
  for (const sim::serving::Gap& gap : sorted) {
    seen += gap.tokens;
    if (seen >= q * tokens) return gap.seconds;
  }
  return sorted.empty() ? 0 : sorted.back().seconds;
}

void AddGaps(std::vector<sim::serving::Gap> gaps, ServeAnswer& a) {
  std::sort(gaps.begin(), gaps.end(), [](const auto& x, const auto& y) { return x.seconds < y.seconds; });
  double tokens = 0;
  for (const sim::serving::Gap& gap : gaps) tokens += gap.tokens;
  a.gap_p50 = GapAt(gaps, tokens, 0.5), a.gap_p99 = GapAt(gaps, tokens, 0.99);
}

/// The last quarter of the requests waits much longer than the second: the queue grows.
bool Grows(const std::vector<Request>& requests, const Served& served) {
  const std::size_t n = requests.size(), quarter = n / 4;
  if (quarter < 20) return false;
  const auto wait = [&](std::size_t from, std::size_t to) {
    double sum = 0;
    for (std::size_t i = from; i < to; ++i) sum += served.outcomes[i].first_token - requests[i].arrival;
    return sum / static_cast<double>(to - from);
  };
  const double before = wait(quarter, 2 * quarter), after = wait(n - quarter, n);
  const double span = requests[n - 1].arrival - requests[quarter].arrival;
  return after > 1.5 * before && after - before > 0.05 * span;
}

ServeAnswer Summarise(const ServeScenario& s, const Prepared& p, const std::vector<Request>& requests,
                      const Served& served) {
  ServeAnswer a;
  a.requests = requests.size(), a.steps = served.steps, a.preemptions = served.preemptions;
  a.cache_tokens = p.limits.cache_tokens, a.gpus = p.gpus;
  std::vector<double> first, per, latency;
  double tokens = 0, kept = 0;
  for (std::size_t i = 0; i < requests.size(); ++i) {
    const Request& r = requests[i];
    const sim::serving::Outcome& o = served.outcomes[i];
    if (r.prompt == 0) ++a.empty_prompts;
    if (o.fate == sim::serving::Fate::kTooLong) {
      ++a.turned_away;
      continue;
    }
    first.push_back(o.first_token - r.arrival), latency.push_back(o.finish - r.arrival);
    const double each = r.output > 1 ? (o.finish - o.first_token) / (r.output - 1) : 0;
    if (r.output > 1) per.push_back(each);
    tokens += r.output;
    const bool in_time = !s.objective || ((s.objective->first_token == 0 || first.back() <= s.objective->first_token) &&
                                          (s.objective->per_token == 0 || each <= s.objective->per_token));
    kept += in_time;
  }
  a.first_token = PercentilesOf(first), a.per_token = PercentilesOf(per), a.latency = PercentilesOf(latency);
  const double span = std::max(served.end, 1e-12);
  a.requests_per_s = static_cast<double>(first.size()) / span, a.output_tokens_per_s = tokens / span;
  a.kept = kept / static_cast<double>(requests.size()), a.goodput = kept / span;
  a.utilisation = served.Busy() / (span * p.engines);
  AddGaps(served.gaps, a);
  a.overloaded = Grows(requests, served);
  return a;
}

/// Power: prompt steps draw the limit's share that power.h gives a typical one, decode steps theirs, the rest idles.
ServingPower PowerOf(const ServeScenario& s, const Prepared& p, const std::vector<Request>& requests,
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
  return {p.gpus * power.Watts({}, 0), p.gpus * power.Watts(prompts, served.prompt_seconds),
          p.gpus * power.Watts(decodes, served.decode_seconds)};
}

/// Of the whole run; engines that do nothing idle.
double JoulesOf(const Prepared& p, const Served& served, const ServingPower& power) {
  const double idle = std::max(0.0, served.end * p.engines - served.Busy());
  return (power.prompt * served.prompt_seconds + power.decode * served.decode_seconds + power.idle * idle) / p.engines;
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

std::vector<Request> RequestsAt(const ServeScenario& s, double rate) {
  return sim::serving::Poisson(rate, s.count, s.prompt, s.output, s.seed);
}

}  // namespace

bool Keeps(const ServeAnswer& answer, const Objective& objective) {
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

ServeAnswer Serve(const ServeScenario& scenario) {
  const Prepared prepared = Prepare(scenario);
  const std::vector<Request> requests = scenario.trace.empty() ? RequestsAt(scenario, scenario.rate) : scenario.trace;
  const Served served = Run(scenario, prepared, requests, true);
  ServeAnswer answer = Summarise(scenario, prepared, requests, served);
  double tokens = 0;
  for (const Request& r : requests) tokens += r.output;
  const ServingPower power = PowerOf(scenario, prepared, requests, served);
  answer.joules_per_output_token = tokens > 0 ? JoulesOf(prepared, served, power) / tokens : 0;
  answer.over_time = MomentsOf(requests, served, prepared.engines, power, kMoments);
  if (scenario.objective && scenario.objective->find_rate) {
    const int threads = static_cast<int>(std::clamp(std::thread::hardware_concurrency(), 1U, 16U));
    answer.highest_rate = HighestRate(
        [&](double rate) {
          const std::vector<Request> at = RequestsAt(scenario, rate);
          return Keeps(Summarise(scenario, prepared, at, Run(scenario, prepared, at, false)), *scenario.objective);
        },
        threads);
  }
  Warn(answer);
  return answer;
}

}  // namespace isochrone::study
