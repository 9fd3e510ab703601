#include "plan/inference/step_ops.h"

#include <algorithm>
#include <map>
#include <string_view>
#include <variant>

#include "plan/build.h"
#include "plan/inference/expert_ops.h"
#include "plan/layers/layers.h"
#include "plan/stages.h"

namespace isochrone::plan {
namespace {

CacheUse CacheOf(const Model& model, const Attention& kernel) {
  CacheUse use{.kernel = kernel};
  if (model.mla) use.latent = model.mla->kv_lora + model.mla->qk_rope, use.latent_key = model.mla->qk_rope;
  return use;
}

bool IsTrainingOnly(const Op& op) {
  if (std::holds_alternative<CrossEntropy>(op.kind) || op.name == "loss_reduce") return true;
  const auto* elementwise = std::get_if<Elementwise>(&op.kind);
  return elementwise != nullptr && elementwise->kind == ElementwiseKind::kDropout;
}

/// Most bytes that one op reads and writes beside parameters: engines free what no later op reads.
Bytes WorkspaceOf(const LayerProgram& program) {
  Bytes most;
  for (const Op& op : program.Ops(Phase::kForward)) {
    Bytes alive;
    for (const std::vector<int>* side : {&op.in, &op.out}) {
      for (const int b : *side) {
        const Buffer& buffer = program.buffers[static_cast<std::size_t>(b)];
        if (buffer.kind != BufferKind::kParameter) alive += buffer.Size();
      }
    }
    if (!IsTrainingOnly(op)) most = Max(most, alive);
  }
  return most;
}

void CountParameters(const LayerProgram& program, InferenceLayer& layer) {
  for (const Buffer& b : program.buffers) {
    if (b.kind != BufferKind::kParameter || b.borrowed) continue;
    layer.parameters += b.Elements();
    if (b.shape.size() < 2) layer.vectors += b.Elements();
  }
}

InferenceLayer FromProgram(const Model& model, const LayerProgram& program) {
  InferenceLayer layer;
  layer.name = program.name;
  for (const Op& op : program.Ops(Phase::kForward)) {
    if (IsTrainingOnly(op)) continue;
    if (const auto* kernel = std::get_if<Attention>(&op.kind)) {
      layer.cache = CacheOf(model, *kernel);
    } else if (const auto* scan = std::get_if<Scan>(&op.kind)) {
      layer.scan = *scan;
      layer.state_elements += static_cast<double>(scan->heads * scan->head_dim * scan->state);
    } else {
      layer.ops.push_back(op);
      layer.ops.back().in = {}, layer.ops.back().out = {}, layer.ops.back().after = {};
    }
    if (const auto* taps = std::get_if<Convolution>(&op.kind))
      layer.state_elements += static_cast<double>(taps->channels_in * (taps->kernel_width - 1));
  }
  layer.workspace = WorkspaceOf(program);
  CountParameters(program, layer);
  return layer;
}

/// Logits of the scored rows, brought together on every tensor rank, and a sample from each.
InferenceLayer HeadOf(LayerContext context, std::int64_t scored, bool owns_table) {
  context.sequences = std::max<std::int64_t>(1, scored);
  InferenceLayer head = FromProgram(*context.model, HeadLayer(context, owns_table));
  const std::int64_t vocabulary = context.model->vocabulary;
  if (context.layout.tp > 1) {
    const Bytes bytes = static_cast<double>(context.sequences * vocabulary) * SizeOf(context.storage);
    head.ops.push_back(
        {.name = "logits_gather",
         .stream = Stream::kTensor,
         .kind =
             Collective{
                 .kind = CollectiveKind::kAllGather, .group = Group::kTensor, .bytes = bytes, .dtype = context.storage},
         .in = {},
         .out = {},
         .after = {}});
  }
  Softmax sample{.rows = context.sequences, .columns = vocabulary, .causal = false, .dtype = Dtype::kFp32};
  head.ops.push_back({.name = "sample", .kind = sample, .in = {}, .out = {}, .after = {}});
  return head;
}

InferenceLayer LayerAt(LayerContext context, int index) {
  const Model& model = *context.model;
  const LayerKind kind = LayerKindAt(model, index);
  const std::string_view name = kind.name;
  if (!name.starts_with("moe")) return FromProgram(model, kind.build(context));
  context.windowed = name == "moe_window";
  InferenceLayer layer = FromProgram(model, AttentionLayer(context));
  layer.name = name;
  AppendExperts(context, layer);
  return layer;
}

/// What slicing adds to a layer: each of its two residual connections leaves one basis for the next by a square
/// product.
void AppendRotations(const LayerContext& context, InferenceLayer& layer) {
  const std::int64_t hidden = context.model->hidden;
  for (const char* name : {"attention_rotation", "mlp_rotation"}) {
    const Gemm turn{
        .m = context.Tokens(), .n = hidden, .k = hidden, .dtype = context.multiply, .output = context.storage};
    layer.ops.push_back({.name = name, .kind = turn, .in = {}, .out = {}, .after = {}});
    layer.parameters += static_cast<double>(hidden) * static_cast<double>(hidden);
  }
}

/// Layers by name, each built once.
class Builder {
 public:
  Builder(const InferenceScenario& scenario, std::int64_t tokens) : context_(ContextOf(scenario.base)) {
    context_.sequences = std::max<std::int64_t>(1, tokens);
    context_.positions = 1;
  }
  const LayerContext& context() const { return context_; }

  template <class Make>
  void Append(std::vector<InferenceSection>& stage, const std::string& name, const Make& make) {
    const auto [it, first] = index_.emplace(name, layers.size());
    if (first) layers.push_back(make());
    if (!stage.empty() && stage.back().layer == it->second) ++stage.back().count;
    else stage.push_back({it->second, 1});
  }

  std::vector<InferenceLayer> layers;

 private:
  LayerContext context_;
  std::map<std::string, std::size_t> index_;
};

}  // namespace

InferenceStep StepOf(const InferenceScenario& scenario, std::int64_t tokens, std::int64_t scored) {
  const Model& model = scenario.base.model;
  const std::vector<int> split = LayersPerStage(scenario.base);
  Builder builder(scenario, tokens);
  InferenceStep step;
  step.stages.resize(split.size());
  builder.Append(step.stages.front(), "embedding",
                 [&] { return FromProgram(model, EmbeddingLayer(builder.context())); });
  int index = 0;
  for (std::size_t stage = 0; stage < split.size(); ++stage) {
    for (int i = 0; i < split[stage]; ++i, ++index) {
      builder.Append(step.stages[stage], LayerKindAt(model, index).name, [&, at = index] {
        InferenceLayer layer = LayerAt(builder.context(), at);
        if (scenario.strategy.slice > 0) AppendRotations(builder.context(), layer);
        return layer;
      });
    }
  }
  const bool owns_table = split.size() > 1 || !model.tied_embeddings;
  builder.Append(step.stages.back(), "head", [&] { return HeadOf(builder.context(), scored, owns_table); });
  step.layers = std::move(builder.layers);
  step.message = static_cast<double>(tokens * model.hidden) * SizeOf(builder.context().storage);
  return step;
}

}  // namespace isochrone::plan
