#include "sim/serving/schedulers.h"

#include <catch2/catch.hpp>

#include <cmath>
#include <cstring>

#include "sim/serving/arrivals.h"
#include "sim/serving/pools.h"

namespace isochrone::sim::serving {
namespace {

/// 10 ms a step and 0.1 ms a token, 1 µs per cached token.
plan::StepCost Simple() {
  plan::StepCost cost;
  for (int i = 0; i < plan::CountCurve::kPoints; ++i)
    cost.work.seconds[static_cast<std::size_t>(i)] = 0.01 + 1e-4 * plan::CountCurve::CountAt(i);
  cost.per_cached = 1e-6;
  return cost;
}

/// Every prompt takes `seconds`, whatever its length.
plan::StepCost Constant(double seconds) {
  plan::StepCost cost;
  cost.prompt_floor = seconds;
  return cost;
}

std::vector<Request> Trace(double rate, std::size_t count) {
  const Lengths prompt{.kind = LengthKind::kLognormal, .mean = 300, .deviation = 1, .least = 1, .most = 4000};
  const Lengths output{.kind = LengthKind::kExponential, .mean = 100, .least = 1, .most = 1000};
  return Poisson(rate, count, prompt, output, 7);
}

const std::vector<Scheduler> kGenerating = {Scheduler::kStatic, Scheduler::kContinuous, Scheduler::kPaged,
                                            Scheduler::kChunked};

Limits Tight() { return {.cache_tokens = 12000, .sequences = 64, .token_budget = 2048}; }

TEST_CASE("every request is answered once, after it arrived, or turned away on arrival", "[serving]") {
  std::vector<Request> requests = Trace(3, 4000);
  requests[100].output = 20000;  // can never be held
  requests[200].prompt = 0;
  requests[300].output = 0;
  const plan::StepCost cost = Simple();
  for (const Scheduler scheduler : kGenerating) {
    INFO(SchedulerNames()[static_cast<std::size_t>(scheduler)]);
    const Served served = Serve(scheduler, {requests, cost, Tight()});
    REQUIRE(served.outcomes.size() == requests.size());
    CHECK(served.outcomes[100].fate == Fate::kTooLong);
    int turned_away = 0;
    bool ordered = true;
    for (std::size_t i = 0; i < requests.size(); ++i) {
      const Outcome& o = served.outcomes[i];
      turned_away += o.fate == Fate::kTooLong;
      ordered = ordered && o.first_token >= requests[i].arrival && o.finish >= o.first_token && o.finish <= served.end;
    }
    CHECK(turned_away == 1);
    CHECK(ordered);
    CHECK(served.outcomes[300].finish == served.outcomes[300].first_token);
  }
}

TEST_CASE("an engine ends where the last request is turned away after all others have gone", "[serving]") {
  std::vector<Request> requests = Trace(3, 10);
  requests.push_back({.arrival = requests.back().arrival + 1e4, .prompt = 20000, .output = 1});
  requests.push_back({.arrival = 1e9, .prompt = 1, .output = 1});
  requests.pop_back();  // what lies behind the last request is a time that nobody may wait for
  const plan::StepCost cost = Simple();
  for (const Scheduler scheduler : kGenerating) {
    INFO(SchedulerNames()[static_cast<std::size_t>(scheduler)]);
    const Served served = Serve(scheduler, {requests, cost, Tight()});
    CHECK(served.outcomes.back().fate == Fate::kTooLong);
    CHECK(served.end <= requests.back().arrival);
  }
}

TEST_CASE("two requests by hand: the second joins at the next step and shares it", "[serving]") {
  plan::StepCost cost;  // a decode step takes 1 s, a prompt step 2 s, together 3 s
  cost.decode_floor = 1, cost.prompt_floor = 2;
  const std::vector<Request> requests = {{0, 10, 5}, {2.5, 10, 3}};
  const Served served = Continuous({requests, cost, {}});
  // 0-2 prompt, 2-3 decode, 3-6 decode and second prompt, 6-7, 7-8 both decode
  CHECK(served.outcomes[0].first_token == 2);
  CHECK(served.outcomes[1].first_token == 6);
  CHECK(served.outcomes[0].finish == 8);
  CHECK(served.outcomes[1].finish == 8);
  Limits apart;
  apart.fuses_prompts = false;
  const Served alone = Continuous({requests, cost, apart});
  CHECK(alone.outcomes[1].first_token == 5);
  CHECK(alone.outcomes[0].finish == 8);
  // The first request's tokens: one after 1 s, one after a stall of 2 s and 1 s, two after 1 s; the second's two.
  double late = 0, tokens = 0;
  for (const Gap& gap : alone.gaps) late += gap.seconds > 2 ? gap.tokens : 0, tokens += gap.tokens;
  CHECK(tokens == 6);
  CHECK(late == 2);
  const Served batches = StaticBatch({requests, cost, {}});
  CHECK(batches.outcomes[0].finish == 6);
  CHECK(batches.outcomes[1].first_token == 8);
}

TEST_CASE("chunks keep a decoding request going while a long prompt is computed", "[serving]") {
  const plan::StepCost cost = Simple();
  const std::vector<Request> requests = {{0, 16, 400}, {0.5, 8000, 2}};
  Limits limits;
  limits.token_budget = 512;
  const Served chunked = Chunked({requests, cost, limits});
  limits.fuses_prompts = false;
  const Served whole = Continuous({requests, cost, limits});
  // 8000 tokens take 16 pieces of at most 511
  CHECK(chunked.outcomes[0].finish < whole.outcomes[0].finish);
  CHECK(chunked.steps == whole.steps + 16 - 1 - 16);
}

TEST_CASE("pages run out: the youngest request gives its up and is answered all the same", "[serving]") {
  plan::StepCost cost;
  cost.decode_floor = 1, cost.prompt_floor = 1;
  // 4 pages of 4 tokens. Both need 2 pages at once and 3 in the end.
  const std::vector<Request> requests = {{0, 7, 5}, {0, 7, 5}};
  Limits limits{.cache_tokens = 16, .sequences = 8, .token_budget = 1000, .block_tokens = 4};
  const Served served = Paged({requests, cost, limits});
  CHECK(served.preemptions == 1);
  CHECK(served.outcomes[0].preemptions == 0);
  CHECK(served.outcomes[1].preemptions == 1);
  CHECK(served.outcomes[0].finish < served.outcomes[1].finish);
  CHECK(served.outcomes[1].first_token == served.outcomes[0].first_token);
  CHECK(Continuous({requests, cost, limits}).outcomes[1].first_token > served.outcomes[1].first_token);
}

TEST_CASE("pages hold more requests than reservations do", "[serving]") {
  const std::vector<Request> requests = Trace(6, 4000);
  const plan::StepCost cost = Simple();
  const Served paged = Paged({requests, cost, Tight()}), reserved = Continuous({requests, cost, Tight()});
  CHECK(paged.preemptions > 0);
  double wait_paged = 0, wait_reserved = 0;
  for (std::size_t i = 0; i < requests.size(); ++i) {
    wait_paged += paged.outcomes[i].first_token - requests[i].arrival;
    wait_reserved += reserved.outcomes[i].first_token - requests[i].arrival;
  }
  CHECK(wait_paged < wait_reserved);
}

TEST_CASE("Little's law: requests present are the rate times the time that each stays", "[serving]") {
  const double rate = 4;
  const std::vector<Request> requests = Trace(rate, 20000);
  const plan::StepCost cost = Simple();
  const Served served = Continuous({requests, cost, {}});
  // Integrate the number present over time from the sorted arrivals and departures, without using residence times.
  std::vector<std::pair<double, int>> events;
  double stay = 0;
  for (std::size_t i = 0; i < requests.size(); ++i) {
    events.emplace_back(requests[i].arrival, 1);
    events.emplace_back(served.outcomes[i].finish, -1);
    stay += served.outcomes[i].finish - requests[i].arrival;
  }
  std::sort(events.begin(), events.end());
  double area = 0, last = 0;
  int present = 0;
  for (const auto& [time, change] : events) area += present * (time - last), last = time, present += change;
  CHECK(present == 0);
  const double n = static_cast<double>(requests.size());
  CHECK(area / served.end == Approx(n / served.end * (stay / n)).epsilon(1e-6));
  CHECK(n / served.end == Approx(rate).epsilon(0.02));
}

TEST_CASE("one at a time at constant cost is M/D/1", "[serving]") {
  // Mean wait in the queue: rho D / (2 (1 - rho)). Source  Pollaczek and Khinchine.
  for (const double rho : {0.3, 0.6, 0.8}) {
    const std::vector<Request> requests = Poisson(rho, 1'000'000, {.mean = 10}, {.mean = 1}, 11);
    const plan::StepCost cost = Constant(1);
    const Served served = Continuous({requests, cost, {.sequences = 1, .token_budget = 1}});
    double wait = 0;
    for (std::size_t i = 0; i < requests.size(); ++i) wait += served.outcomes[i].first_token - 1 - requests[i].arrival;
    CHECK(wait / 1e6 == Approx(rho / (2 * (1 - rho))).epsilon(0.02));
    CHECK(served.Busy() / served.end == Approx(rho).epsilon(0.01));
  }
}

TEST_CASE("k engines with exponential prompts are M/M/k", "[serving]") {
  plan::StepCost cost;
  cost.per_prompt_token = 1e-5;  // mean 1 s for 100,000 tokens
  const Lengths prompt{.kind = LengthKind::kExponential, .mean = 1e5, .least = 1, .most = 1e9};
  for (const int k : {2, 4}) {
    const double rho = 0.75, load = rho * k;
    double sum = 0, term = 1;
    for (int i = 0; i < k; ++i) sum += term, term *= load / (i + 1);
    const double waits = term / (1 - rho) / (sum + term / (1 - rho));  // Erlang C
    const std::vector<Request> requests = Poisson(load, 1'500'000, prompt, {.mean = 1}, 5);
    const Served served = PromptPool({requests, {.stages = {cost}}, {.sequences = 1, .token_budget = 1}, k});
    double wait = 0;
    for (std::size_t i = 0; i < requests.size(); ++i)
      wait += served.outcomes[i].first_token - requests[i].arrival - 1e-5 * requests[i].prompt;
    CHECK(wait / 1.5e6 == Approx(waits / (k - load)).epsilon(0.02));
  }
}

TEST_CASE("the same work gives the same bytes", "[serving]") {
  const plan::StepCost cost = Simple();
  for (const Scheduler scheduler : kGenerating) {
    const std::vector<Request> once = Trace(5, 3000), again = Trace(5, 3000);
    const Served a = Serve(scheduler, {once, cost, Tight()}), b = Serve(scheduler, {again, cost, Tight()});
    CHECK(std::memcmp(&a.end, &b.end, sizeof a.end) == 0);
    bool same = true;
    for (std::size_t i = 0; i < once.size(); ++i)
      same = same && std::memcmp(&a.outcomes[i].finish, &b.outcomes[i].finish, sizeof(double)) == 0;
    CHECK(same);
  }
}

TEST_CASE("skipping runs of steps gives what stepping one by one gives", "[serving]") {
  const plan::StepCost cost = Simple();
  const std::vector<Request> requests = Trace(4, 300);
  const Served served = Continuous({requests, cost, {}});
  // A second engine that decodes a step at a time.
  struct Live {
    std::size_t id;
    int left;
    double cached;
  };
  std::vector<Live> live;
  std::vector<double> finish(requests.size());
  double now = 0;
  for (std::size_t next = 0; next < requests.size() || !live.empty();) {
    if (live.empty() && requests[next].arrival > now) now = requests[next].arrival;
    plan::StepLoad load;
    for (const Live& l : live) load.decoded += 1, load.cached += l.cached;
    const std::size_t from = next;
    for (; next < requests.size() && requests[next].arrival <= now && next - from + live.size() < 256; ++next) {
      const double p = requests[next].prompt;
      if (load.pieces > 0 && load.prompt_tokens + p > 8192) break;
      load.pieces += 1, load.prompt_tokens += p, load.prompt_pairs += p * p / 2;
    }
    now += cost.Seconds(load);
    for (Live& l : live) l.left -= 1, l.cached += 1;
    for (std::size_t i = from; i < next; ++i) live.push_back({i, requests[i].output - 1, requests[i].prompt + 1.0});
    std::erase_if(live, [&](const Live& l) { return l.left <= 0 ? (finish[l.id] = now, true) : false; });
  }
  for (std::size_t i = 0; i < requests.size(); i += 7)
    CHECK(served.outcomes[i].finish == Approx(finish[i]).epsilon(1e-9));
}

TEST_CASE("batch dispatch takes all that wait the moment it is idle", "[serving]") {
  const std::vector<Request> requests = {{0, 1, 1}, {0.1, 1, 1}, {0.2, 1, 1}, {5, 1, 1}};
  const plan::StepCost cost = Constant(1);
  const Served served = BatchDispatch({requests, cost, {}});
  CHECK(served.outcomes[0].finish == 1);
  CHECK(served.outcomes[1].finish == 2);
  CHECK(served.outcomes[2].finish == 2);
  CHECK(served.outcomes[3].finish == 6);
}

TEST_CASE("separated pools: a prompt pool, a transfer, a decode pool that never stalls for prompts", "[serving]") {
  plan::StepCost cost;
  cost.decode_floor = 1, cost.prompt_floor = 2;
  const std::vector<Request> requests = {{0, 10, 3}, {1, 10, 3}};
  const plan::ReplicaCost whole{.stages = {cost}};
  const Served served = Separated({.requests = requests,
                                   .prompt_cost = whole,
                                   .decode_cost = cost,
                                   .limits = {.sequences = 8, .token_budget = 10},
                                   .prompt_engines = 1,
                                   .decode_engines = 1,
                                   .transfer_latency = 0.5,
                                   .transfer_per_token = 0.05});
  CHECK(served.outcomes[0].first_token == 2);
  CHECK(served.outcomes[1].first_token == 4);
  CHECK(served.outcomes[0].finish == 2 + 1 + 2);  // a transfer of 1 s, two decode steps of 1 s
  CHECK(served.outcomes[1].finish == 5 + 2);
}

}  // namespace
}  // namespace isochrone::sim::serving
