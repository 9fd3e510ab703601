// A whole training step at network fidelity: expansion, play, account and link report. Wall time, and the process's
// peak memory so far.
//
//   ./build/network_bench --benchmark_filter=MaxMin

#include <benchmark/benchmark.h>
#include <sys/resource.h>

#include <random>

#include "sim/network/max_min.h"
#include "sim/network/network_step.h"

namespace {

using namespace isochrone;
using namespace isochrone::sim;
using namespace isochrone::sim::network;

// DGX A100 nodes with 8 HDR cards behind a three-level fat tree.
ClusterShape Nodes(int nodes, double oversubscription) {
  ClusterShape shape;
  shape.nodes = nodes;
  shape.node.nvlink_bandwidth = BytesPerSecond(300e9);
  shape.node.nvlink_latency = Seconds(2e-6);
  shape.node.pcie_bandwidth = BytesPerSecond(25e9);
  shape.node.nic_bandwidth = BytesPerSecond(25e9);
  shape.node.nic_latency = Seconds(2e-6);
  shape.fabric.kind = FabricKind::kFatTree3;
  shape.fabric.nodes_per_leaf = 16;
  shape.fabric.leaves_per_pod = 4;
  shape.fabric.oversubscription = oversubscription;
  return shape;
}

// GPT, sequence 2048, microbatch 1, fp16: messages of 2048 x hidden halves; gradients in fp32.
plan::Plan Step(int tp, int pp, int dp, int microbatches, double hidden, double parameters) {
  plan::Plan p;
  p.layout = {.tp = tp, .cp = 1, .dp = dp, .pp = pp};
  p.schedule = plan::BuildSchedule({plan::ScheduleKind::k1f1b, pp, 1, microbatches});
  p.message_bytes = Bytes(2048 * hidden * 2);
  p.message_scatter_gather = true;
  plan::Op reduce;
  reduce.name = "gradients";
  reduce.stream = plan::Stream::kData;
  reduce.kind = plan::Collective{plan::CollectiveKind::kAllReduce, plan::Group::kData, Bytes(parameters / tp / pp * 4),
                                 plan::Dtype::kFp32, 1};
  p.epilogue.assign(pp, {reduce});
  return p;
}

void Play(benchmark::State& state, const plan::Plan& p, int nodes, double oversubscription, EngineChoice engine) {
  StepCosts costs = UniformCosts(p.schedule, {Seconds(0.05), Seconds(0.05), Seconds(0.05), Seconds(0)});
  costs.epilogue.assign(p.schedule.placement.ranks, {0.0});
  NetworkOptions options;
  options.engine = engine;
  NetworkStep step;
  for (auto _ : state) step = SimulateOnNetwork(p, costs, Topology(Nodes(nodes, oversubscription)), {}, options);
  rusage own{}, child{};
  getrusage(RUSAGE_SELF, &own);
  getrusage(RUSAGE_CHILDREN, &child);
  state.counters["activities"] = step.activities;
  state.counters["messages"] = step.messages;
  state.counters["step_s"] = step.step.makespan;
  state.counters["uncontended_s"] = step.uncontended.value;
  state.counters["peak_mib"] = static_cast<double>(std::max(own.ru_maxrss, child.ru_maxrss)) / 1024;
}

// GPT-3 175B, 512 GPUs, batch 1536.
void Gpus512(benchmark::State& state, EngineChoice engine) {
  Play(state, Step(8, 8, 8, 192, 12288, 175e9), 64, static_cast<double>(state.range(0)), engine);
}
// GPT 1T, 3072 GPUs, batch 3072 (arXiv:2104.04473, Table 1).
void Gpus3072(benchmark::State& state, EngineChoice engine) {
  Play(state, Step(8, 64, 6, 512, 25600, 1e12), 384, static_cast<double>(state.range(0)), engine);
}

// A million flows over 10,000 links of one width, four links each.
void MillionFlows(benchmark::State& state) {
  std::mt19937 random(1);
  std::vector<int> first{0}, links;
  for (int f = 0; f < 1'000'000; ++f) {
    for (int hop = 0; hop < 4; ++hop) links.push_back(2500 * hop + static_cast<int>(random() % 2500));
    first.push_back(static_cast<int>(links.size()));
  }
  std::vector<double> rates(1'000'000);
  MaxMinSolver solver(std::vector<double>(10'000, 25e9));
  for (auto _ : state) {
    solver.Solve(first, links, rates);
    benchmark::DoNotOptimize(rates.data());
  }
}

BENCHMARK(MillionFlows)->Unit(benchmark::kMillisecond);
// argument: oversubscription of the leaves
BENCHMARK_CAPTURE(Gpus512, MaxMin, EngineChoice::kMaxMin)->Arg(1)->Arg(4)->Iterations(1)->Unit(benchmark::kSecond);
BENCHMARK_CAPTURE(Gpus3072, MaxMin, EngineChoice::kMaxMin)->Arg(1)->Arg(4)->Iterations(1)->Unit(benchmark::kSecond);
BENCHMARK_CAPTURE(Gpus512, SimGrid, EngineChoice::kSimGrid)->Arg(1)->Arg(4)->Iterations(1)->Unit(benchmark::kSecond);
BENCHMARK_CAPTURE(Gpus3072, SimGrid, EngineChoice::kSimGrid)->Arg(1)->Iterations(1)->Unit(benchmark::kSecond);

}  // namespace
