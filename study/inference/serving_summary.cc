// What became of the requests, in numbers.
#include <algorithm>
#include <cmath>

#include "base/statistics.h"
#include "study/inference/serving_run.h"

namespace isochrone::study {
namespace {

using sim::serving::Request;
using sim::serving::Served;

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

void AddBubbles(const Served& served, ServeAnswer& a) {
  if (served.bubbles.empty()) return;
  a.bubble_seconds = served.bubble_seconds;
  std::vector<double> each = served.bubbles;
  a.request_bubble = PercentilesOf(each);
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

}  // namespace

ServeAnswer Summarise(const ServeScenario& s, const ServingCosts& c, const std::vector<Request>& requests,
                      const Served& served) {
  ServeAnswer a;
  a.requests = requests.size(), a.steps = served.steps, a.preemptions = served.preemptions;
  a.cache_tokens = c.limits.cache_tokens, a.gpus = c.gpus;
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
  a.end = served.end;
  const double span = std::max(served.end, 1e-12);
  a.requests_per_s = static_cast<double>(first.size()) / span, a.output_tokens_per_s = tokens / span;
  a.kept = kept / static_cast<double>(requests.size()), a.goodput = kept / span;
  a.utilisation = served.Busy() / (span * c.Engines());
  if (served.prompt_steps > 0) a.prompt_step = served.prompt_seconds / static_cast<double>(served.prompt_steps);
  AddBubbles(served, a);
  AddGaps(served.gaps, a);
  a.overloaded = Grows(requests, served);
  return a;
}

}  // namespace isochrone::study
