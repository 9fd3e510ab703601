#include "costmodel/inference/step_price.h"

#include <algorithm>
#include <variant>

#include "costmodel/attention.h"
#include "costmodel/recurrent.h"

namespace isochrone::costmodel {
namespace {

using plan::InferenceLayer;
using plan::InferenceScenario;

constexpr double kLast = 1 << 17;  // tokens from which the curves go on by their slope

/// Prices the ops of one step of one scenario.
class Pricer {
 public:
  Pricer(const InferenceScenario& scenario, const EfficiencyProfile& profile, const EngineProfile& engine)
      : scenario_(scenario),
        gpu_(scenario.base.cluster.node.gpu),
        layout_(plan::LayoutOf(scenario.base)),
        profile_(profile),
        engine_(engine),
        costs_(scenario.base.cluster, layout_, scenario.base.strategy, profile, Framework(engine)),
        product_(gpu_, CurveOf(profile, scenario.strategy.precision), scenario.strategy.precision) {}

  double Of(const plan::Op& op) const {
    if (const auto* gemm = std::get_if<plan::Gemm>(&op.kind)) {
      if (gemm->dtype == scenario_.strategy.precision && Narrow())
        return engine_.kernel_time * Narrowed(product_.Price(*gemm), static_cast<double>(gemm->n * gemm->k));
    }
    if (const auto* gemm = std::get_if<plan::GroupedGemm>(&op.kind); gemm != nullptr && Narrow())
      return engine_.kernel_time * Narrowed(product_.Price(*gemm, GroupedForm::kOneKernel),
                                            static_cast<double>(gemm->experts * gemm->n * gemm->k));
    if (const auto* said = std::get_if<plan::Collective>(&op.kind)) return Said(*said).value;
    return costs_.TimeOf(op).value;
  }
  double Of(const InferenceLayer& layer) const {
    double sum = 0;
    for (const plan::Op& op : layer.ops) sum += Of(op);
    return sum;
  }
  const Costs& costs() const { return costs_; }
  const plan::Layout& layout() const { return layout_; }

 private:
  static FrameworkProfile Framework(const EngineProfile& engine) {
    FrameworkProfile framework;
    framework.kernel_time = engine.kernel_time;
    framework.tensor_communication = engine.tensor_communication;
    return framework;
  }
  bool Narrow() const { return plan::SizeOf(scenario_.strategy.weights) < plan::SizeOf(scenario_.strategy.precision); }
  /// A product whose weights are stored narrower than they are multiplied: less to read, as much to multiply.
  double Narrowed(const GemmPrice& price, double weights) const {
    const Bytes unread =
        weights * (plan::SizeOf(scenario_.strategy.precision) - plan::SizeOf(scenario_.strategy.weights));
    const Seconds saved = price.memory * (unread / price.traffic);
    return Max(price.total - saved, price.compute + price.launch + price.split).value;
  }
  Seconds Said(const plan::Collective& op) const {
    const Seconds library = costs_.TimeOf(plan::OpKind(op));
    const plan::GroupShape shape = plan::ShapeOf(layout_, op.group);
    const bool one_shot = op.kind == plan::CollectiveKind::kAllReduce && engine_.one_shot.value > 0 && shape.nodes == 1;
    if (!one_shot || shape.size == 1) return library;
    return Min(library, OneShotAllReduce(op.bytes, shape.size, scenario_.base.cluster.node, engine_));
  }

  const InferenceScenario& scenario_;
  const plan::Gpu& gpu_;
  plan::Layout layout_;
  const EfficiencyProfile& profile_;
  const EngineProfile& engine_;
  Costs costs_;
  GemmModel product_;
};

/// Sums over the layers of one stage; the head apart.
struct StageSums {
  double work = 0, head = 0;
};

StageSums SumsOf(const plan::InferenceStep& step, std::size_t stage, const std::vector<double>& seconds) {
  StageSums sums;
  for (const plan::InferenceSection& s : step.stages[stage])
    (step.layers[s.layer].name == "head" ? sums.head : sums.work) += s.count * seconds[s.layer];
  return sums;
}

void FillCurves(const InferenceScenario& scenario, const Pricer& pricer, plan::ReplicaCost& cost) {
  using plan::CountCurve;
  int last = CountCurve::kPoints - 1;
  for (int i = 0; i < CountCurve::kPoints; ++i) {
    const auto at = static_cast<std::size_t>(i);
    const double tokens = CountCurve::CountAt(i);
    if (tokens > kLast) {  // by the last slope
      for (plan::StepCost& stage : cost.stages) {
        for (CountCurve* curve : {&stage.work, &stage.head})
          curve->seconds[at] = curve->seconds[static_cast<std::size_t>(last)] * tokens / CountCurve::CountAt(last);
      }
      continue;
    }
    last = i;
    const auto whole = static_cast<std::int64_t>(tokens + 0.5);
    const plan::InferenceStep step = StepOf(scenario, whole, whole);
    std::vector<double> seconds;
    for (const InferenceLayer& layer : step.layers) seconds.push_back(pricer.Of(layer));
    for (std::size_t stage = 0; stage < cost.stages.size(); ++stage) {
      const StageSums sums = SumsOf(step, stage, seconds);
      cost.stages[stage].work.seconds[at] = sums.work, cost.stages[stage].head.seconds[at] = sums.head;
    }
  }
}

/// Operations that the host launches for one layer.
double Launches(const InferenceLayer& layer, bool unfused) {
  return static_cast<double>(layer.ops.size()) + (layer.cache ? (unfused ? 3 : 1) : 0) + (layer.scan ? 1 : 0);
}

/// State of recurrent layers: read and written once for every decoded token, scanned for prompts.
void AddStates(const InferenceScenario& scenario, const InferenceLayer& layer, double count,
               const EfficiencyProfile& profile, plan::StepCost& stage) {
  if (!layer.scan) return;
  const plan::Gpu& gpu = scenario.base.cluster.node.gpu;
  const Bytes state = layer.state_elements * plan::SizeOf(scenario.strategy.kv_cache);
  stage.decode_floor += count * profile.memory.launch.value;
  stage.per_decoded += count * (2 * state / (profile.memory.elementwise_over_peak * gpu.memory_bandwidth)).value;
  plan::Scan prompt = *layer.scan;
  prompt.batch = 1, prompt.length = 4096;
  const MixedPrice price = PriceOf(prompt, gpu, profile);
  stage.prompt_floor += count * price.launch.value;
  stage.per_prompt_token += count * (price.total - price.launch).value / static_cast<double>(prompt.length);
}

void AddCaches(const InferenceScenario& scenario, const plan::InferenceStep& step, const Pricer& pricer,
               const EfficiencyProfile& profile, const EngineProfile& engine, plan::ReplicaCost& cost) {
  const bool unfused = engine.attention == plan::AttentionForm::kUnfused;
  const plan::Gpu& gpu = scenario.base.cluster.node.gpu;
  for (std::size_t i = 0; i < cost.stages.size(); ++i) {
    plan::StepCost& stage = cost.stages[i];
    for (const plan::InferenceSection& section : step.stages[i]) {
      const InferenceLayer& layer = step.layers[section.layer];
      const double count = section.count;
      stage.enqueue_prompt += count * Launches(layer, unfused) * engine.launch.value;
      AddStates(scenario, layer, count, profile, stage);
      if (!layer.cache) continue;
      const CachePrice decode = PriceOf(*layer.cache, scenario.strategy.kv_cache, gpu, profile, engine);
      stage.decode_floor += count * (unfused ? 3 : 1) * decode.floor, stage.per_cached += count * decode.per_cached;
      const PromptPrice prompt = PriceOfPrompt(*layer.cache, pricer.costs(), gpu, profile, engine);
      stage.prompt_floor += count * prompt.floor, stage.per_pair += count * prompt.per_pair;
      stage.per_prompt_token += count * prompt.per_token;
    }
    if (!engine.graphs) stage.enqueue_decode = stage.enqueue_prompt;
    const bool first = i == 0;  // the host schedules once for all stages
    stage.host = first ? engine.step.value : 0;
    stage.host_per_sequence = first ? engine.sequence.value : 0;
  }
}

}  // namespace

CachePrice PriceOf(const plan::CacheUse& use, plan::Dtype stored, const plan::Gpu& gpu,
                   const EfficiencyProfile& profile, const EngineProfile& engine) {
  const Bytes bytes = use.Elements() * plan::SizeOf(stored);
  const Seconds memory = bytes / (engine.attention_over_peak * gpu.memory_bandwidth);
  const double peak = profile.attention_forward.rate_over_peak_128;
  const Seconds compute = Flops(use.FlopsPerCachedToken()) / (peak * PeakRate(gpu, use.kernel.dtype));
  return {.floor = 2 * profile.memory.launch.value * engine.kernel_time,
          .per_cached = Max(memory, compute).value * engine.kernel_time};
}

PromptPrice PriceOfPrompt(const plan::CacheUse& use, const Costs& costs, const plan::Gpu& gpu,
                          const EfficiencyProfile& profile, const EngineProfile& engine) {
  const auto seconds = [&](std::int64_t length) {
    plan::Attention fused = use.kernel;
    fused.batch = 1, fused.queries = fused.keys = length;
    if (engine.attention == plan::AttentionForm::kFlash) {
      const FlashGeneration generation = gpu.architecture == "ampere" || gpu.architecture == "volta"
                                             ? FlashGeneration::kFlash2
                                             : FlashGeneration::kBest;
      const AttentionPrice price = PriceOf(fused, gpu, profile, generation);
      return engine.kernel_time * (price.total - price.launch).value;
    }
    const std::int64_t heads = fused.heads;
    const plan::Gemm scores{.role = plan::GemmRole::kScores,
                            .batch = heads,
                            .m = length,
                            .n = length,
                            .k = fused.qk_dim,
                            .dtype = fused.dtype,
                            .output = fused.dtype,
                            .transpose_b = true};
    const plan::Gemm context{.role = plan::GemmRole::kContext,
                             .batch = heads,
                             .m = length,
                             .n = fused.v_dim,
                             .k = length,
                             .dtype = fused.dtype,
                             .output = fused.dtype};
    const plan::Softmax softmax{.rows = heads * length, .columns = length, .dtype = fused.dtype};
    return (costs.TimeOf(plan::OpKind(scores)) + costs.TimeOf(plan::OpKind(context)) +
            costs.TimeOf(plan::OpKind(softmax)))
        .value;
  };
  // t = token q + pair q²/2 through two lengths; a window makes the second term vanish beyond it.
  const double low = 1024, high = std::max(4096.0, 4 * static_cast<double>(use.kernel.window));
  const double at_low = seconds(1024), at_high = seconds(static_cast<std::int64_t>(high));
  PromptPrice price;
  price.floor =
      engine.kernel_time * (engine.attention == plan::AttentionForm::kFlash ? profile.attention_forward.launch.value
                                                                            : 3 * profile.memory.launch.value);
  price.per_pair = std::max(0.0, 2 * (at_high / high - at_low / low) / (high - low));
  price.per_token = std::max(0.0, at_low / low - price.per_pair * low / 2);
  return price;
}

Seconds OneShotAllReduce(Bytes size, int n, const plan::Node& node, const EngineProfile& engine) {
  return engine.one_shot + (n - 1) * size / node.link_bandwidth;
}

plan::ReplicaCost ReplicaCostOf(const InferenceScenario& scenario) {
  return ReplicaCostOf(scenario, *ProfileOf(scenario.base.cluster.node.gpu),
                       EngineOf(scenario.strategy.engine, scenario.base.cluster.node.gpu));
}

plan::ReplicaCost ReplicaCostOf(const InferenceScenario& scenario, const EfficiencyProfile& profile,
                                const EngineProfile& engine) {
  const Pricer pricer(scenario, profile, engine);
  const plan::InferenceStep step = StepOf(scenario, 1, 1);
  plan::ReplicaCost cost;
  cost.stages.resize(step.stages.size());
  FillCurves(scenario, pricer, cost);
  AddCaches(scenario, step, pricer, profile, engine, cost);
  if (cost.stages.size() > 1) {
    const double one = pricer.costs().MessageTime(step.message, true).value;
    const double many = pricer.costs().MessageTime(1024 * step.message, true).value;
    cost.message_per_token = (many - one) / 1023, cost.message_latency = one - cost.message_per_token;
  }
  return cost;
}

}  // namespace isochrone::costmodel
