#include "tests/cli/gpu_walk.h"

#include <algorithm>
#include <cmath>
#include <memory>

#include "base/table.h"
#include "study/predict.h"
#include "tests/executor/tiny.h"

namespace isochrone::tests {
namespace {

using executor::RunResult;
using plan::Dtype;

struct Way {
  std::string name;
  plan::Scenario scenario;
};

int GpusOf(const plan::Scenario& s) { return plan::LayoutOf(s).World(); }

plan::Scenario Float(bool llama) {
  plan::Scenario s = executor::Tiny();
  s.strategy.precision = s.strategy.gradient_dtype = s.strategy.gradient_reduce_dtype = Dtype::kFp32;
  if (llama) executor::MakeLlama(s.model);
  return s;
}

std::vector<Way> Ways(int gpus) {
  std::vector<Way> ways;
  using Change = std::function<void(plan::Strategy&)>;
  const auto consider = [&](const std::string& name, plan::Scenario s, const Change& change) {
    change(s.strategy);
    if (GpusOf(s) <= gpus) ways.push_back({name, s});
  };
  const auto add = [&](const std::string& name, bool llama, const Change& change) {
    consider(name, Float(llama), change);
  };
  plan::Scenario experts = Float(false);
  experts.model.moe = plan::MoeSpec{.experts = 4, .topk = 2, .ffn = 16};
  using plan::ScheduleKind;
  const auto schedule = [](ScheduleKind kind, int chunks) {
    return [=](plan::Strategy& y) { y.pipeline = 2, y.schedule = kind, y.chunks_per_rank = chunks; };
  };
  add("GPT", false, [](plan::Strategy&) {});
  add("Llama", true, [](plan::Strategy&) {});
  add("GPT, all recomputed", false, [](plan::Strategy& y) { y.recompute = plan::Recompute::kFull; });
  add("GPT in bf16", false, [](plan::Strategy& y) { y.precision = Dtype::kBf16; });
  add("GPT in fp16", false, [](plan::Strategy& y) { y.precision = Dtype::kFp16; });
  consider("four experts", experts, [](plan::Strategy&) {});
  consider("four experts on 2 GPUs", experts, [](plan::Strategy& y) { y.data = y.expert = 2; });
  add("context 2, ring", false, [](plan::Strategy& y) { y.context = 2; });
  add("data 2 with ZeRO-3", false,
      [](plan::Strategy& y) { y.data = 2, y.optimizer_sharding = plan::Sharding::kZero3, y.overlap_data = true; });
  add("tensor 2 with sequence parallelism", false, [](plan::Strategy& y) { y.tensor = 2, y.sequence_parallel = true; });
  add("data 2 with ZeRO-1", false,
      [](plan::Strategy& y) { y.data = 2, y.optimizer_sharding = plan::Sharding::kZero1, y.overlap_data = true; });
  add("pipeline 2, 1F1B", false, schedule(ScheduleKind::k1f1b, 1));
  add("pipeline 2, interleaved", false, schedule(ScheduleKind::kInterleaved1f1b, 2));
  add("pipeline 2, ZB-H1, Llama", true, schedule(ScheduleKind::kZbH1, 1));
  add("pipeline 2, DualPipe", false, schedule(ScheduleKind::kDualPipe, 2));
  add("tensor 2, pipeline 2", false, [](plan::Strategy& y) { y.tensor = y.pipeline = 2; });
  add("tensor 2, pipeline 2, data 2 with ZeRO-1", false, [](plan::Strategy& y) {
    y.tensor = y.pipeline = y.data = 2, y.sequence_parallel = true, y.optimizer_sharding = plan::Sharding::kZero1;
  });
  return ways;
}

/// Largest relative distance of losses, gradients and parameters.
double DistanceOf(const RunResult& got, const RunResult& want) {
  double distance = 0;
  for (std::size_t i = 0; i < want.losses.size(); ++i)
    distance = std::max(distance, std::abs(got.losses[i] - want.losses[i]) / std::abs(want.losses[i]));
  for (const auto& [key, value] : want.parameters) {
    distance = std::max(distance, executor::Distance(got.parameters.at(key), value, 1e-3));
    distance = std::max(distance, executor::Distance(got.gradients.at(key), want.gradients.at(key), 1e-3));
  }
  return distance;
}

}  // namespace

int CheckEquality(const Gpus& gpus, std::FILE* out) {
  int wrong = 0;
  for (const Way& way : Ways(gpus.count)) {
    const bool is_float = way.scenario.strategy.precision == Dtype::kFp32;
    plan::Scenario one = executor::OneRank(way.scenario);
    one.strategy.precision = Dtype::kFp32;
    const executor::RunOptions options = executor::TinyOptions(one, 2);
    const RunResult want = executor::Run<float>(one, plan::BuildPlan(one), options);
    const RunResult got = gpus.run(way.scenario, options);
    const double distance = is_float ? DistanceOf(got, want) : std::abs(got.losses.at(0) / want.losses.at(0) - 1);
    const double most = is_float ? 1e-3 : 1e-2;
    const bool equal = distance < most;
    std::fprintf(out, "%-42s %d GPUs  %.1e from one CPU rank, %s %.0e\n", way.name.c_str(), GpusOf(way.scenario),
                 distance, equal ? "within" : "NOT within", most);
    wrong += !equal;
  }
  return wrong;
}

std::vector<Comparison> ComparePredictions(const Gpus& gpus, const std::string& node_file,
                                           const executor::cuda::BenchRequest& request,
                                           const std::vector<plan::Scenario>& scenarios, const std::string& folder,
                                           std::FILE* out) {
  const plan::Node node = plan::ReadNode(node_file);
  const executor::cuda::GpuTimings timings = gpus.measure(request);
  const cli::GpuCalibrated calibrated = cli::CalibrateFrom(timings, {.gpu = "hardware/" + node.gpu.name + ".json",
                                                                     .node = node_file,
                                                                     .out = folder + "/gpu_check.json",
                                                                     .command = "gpu_check",
                                                                     .tables = {}});
  std::fprintf(out, "\n%s\n", cli::Print(timings, calibrated).c_str());
  study::PredictOptions options;
  options.profile = std::make_shared<costmodel::EfficiencyProfile>(calibrated.report.profile);
  options.framework = costmodel::FrameworkProfile{};  // nothing but the kernels
  std::vector<Comparison> lines;
  Table table({{"scenario", "scenario", "", Align::kLeft},
               {"gpus", "GPUs"},
               {"predicted_ms", "predicted", "ms"},
               {"measured_ms", "measured", "ms"},
               {"error_pct", "error", "%"}});
  for (plan::Scenario s : scenarios) {
    s.cluster.node = node;
    executor::RunOptions run;
    run.steps = 5;
    run.tokens = executor::RandomTokens(1, s.model.vocabulary);
    const Comparison line{.name = s.question,
                          .gpus = GpusOf(s),
                          .predicted_s = study::Predict(s, options).metrics.step_time.value,
                          .measured_s = gpus.run(s, run).metrics.step_time.value};
    table.AddRow({line.name, std::int64_t{line.gpus}, Number{1e3 * line.predicted_s, 2},
                  Number{1e3 * line.measured_s, 2}, Number{100 * (line.predicted_s / line.measured_s - 1), 1}});
    lines.push_back(line);
  }
  std::fputs(table.Text().c_str(), out);
  return lines;
}

executor::cuda::BenchRequest BenchOf(int gpus) {
  executor::cuda::BenchRequest request = executor::cuda::FullBench(gpus);
  executor::cuda::AddAttentionShapes(request);
  return request;
}

std::vector<plan::Scenario> ScenariosFor(int gpus) {
  std::vector<plan::Scenario> scenarios;
  const auto add = [&](const std::string& name, const std::function<void(plan::Strategy&)>& change) {
    plan::Scenario s = executor::Tiny();
    s.question = name;
    s.model.layers = 8;
    s.model.hidden = 1024;
    s.model.heads = s.model.kv_heads = 16;
    s.model.head_dim = 64;
    s.model.ffn = 4096;
    s.model.sequence = 1024;
    s.model.vocabulary = 32000;
    s.batch = {.sequences = 16, .microbatch = 2};
    s.strategy.precision = s.strategy.gradient_dtype = s.strategy.gradient_reduce_dtype = Dtype::kFp32;
    change(s.strategy);
    if (GpusOf(s) <= gpus) scenarios.push_back(s);
  };
  add("GPT of 134M in fp32", [](plan::Strategy&) {});
  add("the same in tf32", [](plan::Strategy& y) { y.precision = Dtype::kTf32; });
  add("in bf16", [](plan::Strategy& y) { y.precision = Dtype::kBf16; });
  add("in bf16, tensor 2",
      [](plan::Strategy& y) { y.precision = Dtype::kBf16, y.tensor = 2, y.sequence_parallel = true; });
  add("in bf16, pipeline 2", [](plan::Strategy& y) { y.precision = Dtype::kBf16, y.pipeline = 2; });
  add("in bf16, data 2 with ZeRO-1",
      [](plan::Strategy& y) { y.precision = Dtype::kBf16, y.data = 2, y.optimizer_sharding = plan::Sharding::kZero1; });
  add("in bf16, tensor 2, pipeline 2, data 2", [](plan::Strategy& y) {
    y.precision = Dtype::kBf16, y.tensor = y.pipeline = y.data = 2, y.sequence_parallel = true;
  });
  return scenarios;
}

std::string NodeOf(const std::string& device) {
  static constexpr std::pair<const char*, const char*> kNames[] = {{"A100-SXM4-80GB", "dgx_a100_80gb"},
                                                                   {"A100-SXM4-40GB", "dgx_a100_40gb"},
                                                                   {"H200", "hgx_h200"},
                                                                   {"A100 80GB PCIe", "a100_pcie_80gb_node"},
                                                                   {"H100 80GB HBM3", "dgx_h100"},
                                                                   {"H800", "hgx_h800"},
                                                                   {"A100-PCIE-40GB", "a100_pcie_40gb_node"},
                                                                   {"B200", "dgx_b200"},
                                                                   {"B300", "dgx_b300"}};
  for (const auto& [part, node] : kNames)
    if (device.find(part) != std::string::npos) return std::string("hardware/") + node + ".json";
  return "";
}

}  // namespace isochrone::tests
