#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "plan/inference/inference_scenario.h"
#include "sim/serving/arrivals.h"
#include "sim/serving/schedulers.h"
#include "study/inference/serving_moments.h"

namespace isochrone::study {

/// The service level objective (SLO): what users were promised. `share` of the requests must keep both.
struct ServiceObjective {
  double first_token = 0, per_token = 0;  // s; 0: no promise
  double gap = 0;  // s, which 99 of 100 tokens must not come later than after the token before; 0: no promise
  double share = 0.9;
  bool find_rate = false;  // also search for the highest rate that keeps it
};

/// Prompts and decoding apart, each with replicas and tensor ranks of its own.
struct Separation {
  int prompt_replicas = 1, decode_replicas = 1, prompt_tensor = 1, decode_tensor = 1;
  int prompt_pipeline = 1, decode_pipeline = 1;
  double transfer_bytes_per_s = 0;  // between the pools; 0: the in-node link
  std::string engine = "";          // of the pools; empty: as the strategy says
};

/// Which plans to compare under the objective.
struct PlanSearch {
  std::vector<int> tensor, pipeline;
  int most_gpus = 8;                  // of separated pools together
  double transfer_bytes_per_s = 0;    // as of Separation
  std::string separated_engine = "";  // as of Separation
};

/// A serving question: who asks how often for how much, and how the engine orders the work.
struct ServeScenario {
  plan::InferenceScenario engine;
  double rate = 0;  // requests a second; 0 with a trace
  std::size_t count = 1000;
  std::uint64_t seed = 1;
  sim::serving::Lengths prompt, output;
  std::vector<sim::serving::Request> trace;
  sim::serving::Scheduler scheduler = sim::serving::Scheduler::kContinuous;
  sim::serving::Limits limits;  // cache_tokens 1e18: by the memory of the GPU
  std::optional<Separation> separation;
  std::optional<ServiceObjective> objective;
  std::optional<PlanSearch> search;
};

/// Reads a file with `"workload": "serve"`. Throws Error.
ServeScenario ReadServing(const std::string& path);

struct Percentiles {
  double mean = 0, p50 = 0, p90 = 0, p99 = 0;
};

struct ServeAnswer {
  std::size_t requests = 0, turned_away = 0, empty_prompts = 0;
  Percentiles first_token, per_token, latency;  // s
  double gap_p50 = 0, gap_p99 = 0;              // s, between tokens, over all tokens
  double requests_per_s = 0, output_tokens_per_s = 0;
  double kept = 1;         // share of all requests that kept the objective
  double goodput = 0;      // requests a second that kept it
  double utilisation = 0;  // busy share of an engine
  double joules_per_output_token = 0;
  std::int64_t steps = 0, preemptions = 0;
  double cache_tokens = 0;     // of one replica
  double end = 0;              // s, when the last answer was whole
  double prompt_step = 0;      // s, mean of the steps that held prompts
  double bubble_seconds = 0;   // of all stages of a pipeline
  Percentiles request_bubble;  // s, of those in front of each request's steps
  int gpus = 0;
  bool overloaded = false;
  std::optional<double> highest_rate;  // requests a second that keep the objective
  std::vector<ServingMoment> over_time;
  std::vector<std::string> warnings;
};

ServeAnswer Serve(const ServeScenario& scenario);

/// Whether `answer` keeps its promise: turned-away requests count as broken ones.
bool Keeps(const ServeAnswer& answer, const ServiceObjective& objective);

/// The highest rate, in requests a second, at which `keeps(rate)` holds: doubled or halved from 1 until the answer
/// changes, then narrowed by trying `threads` rates at once until the bracket is 1% wide. 0 where none does.
/// `keeps` must be monotone but for noise, and safe to call from several threads.
double HighestRate(const std::function<bool(double)>& keeps, int threads);

/// Threads that a search uses on this machine.
int SearchThreads();

}  // namespace isochrone::study
