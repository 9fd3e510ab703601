// Headlines of papers that are ratios of two predictions: study_tests "[headlines]" prints them beside what the papers
// say. docs/inference.md lists them.
#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "costmodel/inference/step_price.h"
#include "sim/serving/arrivals.h"
#include "sim/serving/pools.h"

namespace isochrone::study {
namespace {

plan::StepCost CostOf(const plan::Model& model, const std::string& node, int tensor, int pipeline = 1) {
  plan::InferenceScenario s;
  s.base.model = model;
  s.base.cluster.node = plan::ReadNode("hardware/" + node + ".json");
  s.base.cluster.nodes = std::max(1, tensor * pipeline / s.base.cluster.node.gpus);
  s.strategy.tensor = tensor, s.strategy.pipeline = pipeline, s.strategy.precision = plan::Dtype::kFp16;
  s.strategy.weights = s.strategy.kv_cache = plan::Dtype::kFp16;
  plan::Settle(s);
  return costmodel::ReplicaCostOf(s).stages.front();
}

void Print(const char* what, double ours, double paper) {
  std::printf("%-66s %6.2f  paper %5.2f\n", what, ours, paper);
}

/// SARATHI, arXiv 2308.16369: B sequences of length L, chunks of C tokens each carrying B - 1 decodes.
struct Gains {
  double decode, total;
};
Gains SarathiGains(const plan::StepCost& cost, double length, double batch, double chunk) {
  const double others = batch - 1;
  const plan::StepLoad decode{.decoded = batch, .cached = batch * length};
  const double piece = chunk - others;
  const plan::StepLoad alone{.prompt_tokens = piece, .prompt_pairs = piece * length / 2, .pieces = 1};
  plan::StepLoad mixed = alone;
  mixed.decoded = others, mixed.cached = others * length;
  const double apart = cost.Seconds(decode) / batch;
  const double carried = (cost.Seconds(mixed) - cost.Seconds(alone)) / others;
  // The ratio of prompt to answer at which every piece carries its decodes.
  const double answer = length / (1 + piece / others), prompt = length - answer;
  const plan::StepLoad whole{.prompt_tokens = prompt, .prompt_pairs = prompt * prompt / 2, .pieces = 1};
  const double baseline = batch * cost.Seconds(whole) + answer * cost.Seconds(decode);
  return {apart / carried, baseline / (batch * prompt / piece * cost.Seconds(mixed))};
}

TEST_CASE("SARATHI: decodes carried by chunks are far cheaper, whole requests somewhat", "[.][headlines]") {
  const Gains a6000 = SarathiGains(CostOf(plan::ReadModel("models/llama2_13b.json"), "a6000_node", 1), 1024, 6, 256);
  Print("SARATHI decode gain, LLaMA-13B, A6000", a6000.decode, 10);
  Print("SARATHI end-to-end gain, LLaMA-13B, A6000", a6000.total, 1.33);
  plan::Model large = plan::ReadModel("models/llama2_13b.json");
  large.layers = 60, large.hidden = 6656, large.heads = large.kv_heads = 52, large.ffn = 17920;  // LLaMA-33B
  const Gains a100 = SarathiGains(CostOf(large, "dgx_a100_80gb", 1), 1024, 10, 256);
  Print("SARATHI decode gain, LLaMA-33B, A100", a100.decode, 4.25);
  Print("SARATHI end-to-end gain, LLaMA-33B, A100", a100.total, 1.25);
  CHECK(a6000.decode > 3);
  CHECK(a6000.total > 1.1);
  CHECK(a100.total > 1.05);
}

/// Steps of one group of a pipeline: requests are taken one after the other; `chunk` 0: prompts whole.
std::vector<double> StepsOfGroup(const plan::StepCost& cost, double batch, double chunk, std::uint64_t seed,
                                 int requests) {
  sim::serving::Random random(seed);
  std::vector<double> steps;
  double prompt_left = 0, decodes = 0, done = 0;
  for (int i = 0; i < requests || decodes > 0;) {
    if (prompt_left <= 0 && i < requests) {
      const double length = 1024 / (0.25 + 0.75 * random.Uniform());  // 1K to 4K, short ones more often
      prompt_left = length * 10 / 11, decodes += length / 11, done = 0, ++i;
    }
    plan::StepLoad load;
    load.decoded = std::min(batch, std::ceil(decodes)), load.cached = load.decoded * 2000;
    const double piece = chunk > 0 ? std::min(prompt_left, chunk - load.decoded) : prompt_left;
    if (piece > 0) load.pieces = 1, load.prompt_tokens = piece, load.prompt_pairs = piece * (done + piece / 2);
    steps.push_back(cost.Seconds(load));
    prompt_left -= piece, done += piece, decodes = std::max(0.0, decodes - load.decoded);
  }
  return steps;
}

sim::serving::PipelineRun Gpt3Pipeline(const plan::StepCost& cost, double chunk) {
  constexpr int kStages = 8;
  std::vector<std::vector<double>> groups;
  std::size_t longest = 0;
  for (int g = 0; g < kStages; ++g) {
    groups.push_back(StepsOfGroup(cost, 26, chunk, static_cast<std::uint64_t>(g + 1), 150));
    longest = std::max(longest, groups.back().size());
  }
  std::vector<double> steps;
  for (std::size_t i = 0; i < longest; ++i)
    for (const auto& group : groups) steps.push_back(i < group.size() ? group[i] : 0);
  return sim::serving::PipelineOf(steps, kStages, kStages);
}

TEST_CASE("SARATHI: equal chunks leave a pipeline of GPT-3 fewer bubbles", "[.][headlines]") {
  const plan::StepCost cost = CostOf(plan::ReadModel("models/gpt3_175b.json"), "dgx_a100_80gb", 8, 8);
  const sim::serving::PipelineRun whole = Gpt3Pipeline(cost, 0), chunks = Gpt3Pipeline(cost, 256);
  Print("GPT-3 on 64 A100: bubbles, whole prompts over chunks", whole.bubble / chunks.bubble, 6.29);
  Print("GPT-3 on 64 A100: time, whole prompts over chunks", whole.end / chunks.end, 1.91);
  CHECK(whole.bubble > chunks.bubble);
}

TEST_CASE("Mamba-2-hybrid: the longer the context, the further ahead of the Transformer", "[.][headlines]") {
  plan::Model transformer = plan::ReadModel("models/transformer_8b.json");
  transformer.kv_heads = 8;  // as the hybrid's attention layers have
  const plan::StepCost dense = CostOf(transformer, "dgx_h100", 1);
  const plan::StepCost hybrid = CostOf(plan::ReadModel("models/mamba2_hybrid_8b.json"), "dgx_h100", 1);
  double last = 0;
  for (const double context : {4096.0, 16384.0, 32768.0, 65536.0, 131072.0, 262144.0, 1048576.0}) {
    const plan::StepLoad load{.decoded = 32, .cached = 32 * context};
    const double ahead = dense.Seconds(load) / hybrid.Seconds(load);
    std::printf("Mamba-2-hybrid over Transformer 8B, batch 32, %9.0f tokens          %6.2f  paper: to about 8\n",
                context, ahead);
    CHECK(ahead > last);
    last = ahead;
  }
  CHECK(last < 8.5);
}

TEST_CASE("Prepacking: a batch of prompts of very different lengths needs far fewer rows", "[.][headlines]") {
  const plan::StepCost cost = CostOf(plan::ReadModel("models/llama2_7b.json"), "dgx_a100_80gb", 1);
  sim::serving::Random random(4);
  const sim::serving::Lengths lengths{sim::serving::LengthKind::kLognormal, 150, 0.9, 4, 1024};
  std::vector<std::int32_t> prompts;
  for (int i = 0; i < 64; ++i) prompts.push_back(lengths.Draw(random));
  const double padded = cost.Seconds(sim::serving::PaddedPrompts(prompts));
  const double packed =
      cost.Seconds(sim::serving::PackedPrompts(prompts, *std::max_element(prompts.begin(), prompts.end())));
  std::printf("Prepacking, batch 64: padded %.3f s (paper 2.299), packed %.3f s (paper 0.441)\n", padded, packed);
  CHECK(padded > 2 * packed);
}

}  // namespace
}  // namespace isochrone::study
