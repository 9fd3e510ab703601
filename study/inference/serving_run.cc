// Prices a serving scenario and plays it.
#include "study/inference/serving_run.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "costmodel/inference/engine.h"
#include "costmodel/inference/step_price.h"
#include "plan/inference/memory.h"
#include "sim/serving/pipelined.h"
#include "sim/serving/pools.h"

namespace isochrone::study {
namespace {

using sim::serving::Request;
using sim::serving::Scheduler;
using sim::serving::Served;

ServingCosts SeparatedCosts(const ServeScenario& s) {
  const Separation& pools = *s.separation;
  plan::InferenceScenario engine = s.engine;
  if (!pools.engine.empty()) engine.strategy.engine = pools.engine;
  const plan::InferenceScenario prompt = WithDegrees(engine, pools.prompt_tensor, pools.prompt_pipeline),
                                decode = WithDegrees(engine, pools.decode_tensor, pools.decode_pipeline);
  ServingCosts c;
  c.replica = costmodel::ReplicaCostOf(prompt), c.engine = OneEngine(costmodel::ReplicaCostOf(decode));
  c.limits = s.limits;
  CacheOf(prompt);  // the weights must fit there too
  c.limits.cache_tokens = std::floor(std::min(s.limits.cache_tokens, CacheOf(decode)) / pools.decode_pipeline);
  c.gpus = pools.prompt_replicas * prompt.Gpus() + pools.decode_replicas * decode.Gpus();
  c.engines = pools.prompt_replicas, c.decode_engines = pools.decode_replicas * pools.decode_pipeline;
  const plan::InferenceStep step = plan::StepOf(decode, 1, 1);
  double bytes = 0;
  for (std::size_t stage = 0; stage < step.stages.size(); ++stage)
    bytes += plan::CacheBytesOf(decode, step, stage).per_token.value * pools.decode_tensor;
  const plan::Node& node = s.engine.base.cluster.node;
  c.transfer_per_token =
      bytes / (pools.transfer_bytes_per_s > 0 ? pools.transfer_bytes_per_s : node.link_bandwidth.value);
  c.transfer_latency = node.link_latency.value;
  return c;
}

/// Whether the stages of a pipeline are played one by one.
bool PlaysStages(const ServeScenario& s) {
  return s.engine.strategy.pipeline > 1 &&
         (s.scheduler == Scheduler::kContinuous || s.scheduler == Scheduler::kChunked);
}

}  // namespace

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

plan::InferenceScenario WithDegrees(plan::InferenceScenario scenario, int tensor, int pipeline) {
  scenario.strategy.tensor = tensor, scenario.strategy.pipeline = pipeline, scenario.strategy.replicas = 1;
  plan::Cluster& cluster = scenario.base.cluster;
  cluster.nodes = std::max(1, (tensor * pipeline + cluster.node.gpus - 1) / cluster.node.gpus);
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

ServingCosts ServingCostsOf(const ServeScenario& s) {
  if (s.separation) return SeparatedCosts(s);
  ServingCosts c;
  c.replica = costmodel::ReplicaCostOf(s.engine);
  c.engine = OneEngine(c.replica);
  c.limits = s.limits;
  const int stages = s.engine.strategy.pipeline;
  c.engines = s.engine.strategy.replicas * stages, c.gpus = s.engine.Gpus();
  c.limits.cache_tokens = std::floor(std::min(s.limits.cache_tokens, CacheOf(s.engine)) / stages);
  return c;
}

Served Play(const ServeScenario& s, const ServingCosts& c, const std::vector<Request>& requests, bool trace) {
  if (s.separation) {
    return sim::serving::Separated({.requests = requests,
                                    .prompt_cost = c.replica,
                                    .decode_cost = c.engine,
                                    .limits = c.limits,
                                    .prompt_engines = c.engines,
                                    .decode_engines = c.decode_engines,
                                    .transfer_latency = c.transfer_latency,
                                    .transfer_per_token = c.transfer_per_token,
                                    .trace = trace});
  }
  if (PlaysStages(s)) {
    const bool chunked = s.scheduler == Scheduler::kChunked;
    return sim::serving::DealOut(requests, s.engine.strategy.replicas, [&](const std::vector<Request>& own) {
      return sim::serving::Pipelined({own, c.replica, c.limits, chunked, trace});
    });
  }
  return sim::serving::DealOut(requests, c.engines, [&](const std::vector<Request>& own) {
    return sim::serving::Serve(s.scheduler, {own, c.engine, c.limits, trace});
  });
}

std::vector<Request> RequestsAt(const ServeScenario& s, double rate) {
  return sim::serving::Poisson(rate, s.count, s.prompt, s.output, s.seed);
}

}  // namespace isochrone::study
