#include "plan/strategy.h"

#include <algorithm>
#include <sstream>
#include <utility>

#include "base/error.h"
#include "plan/scenario_names.h"

namespace isochrone::plan {
namespace {

constexpr int kMaxDegree = 1 << 20;

std::string Plain(double v) {
  std::ostringstream out;
  out << v;
  return out.str();
}

StrategyKey Whole(const char* name, int Strategy::*member, int least, int most, const char* meaning) {
  return {name, meaning,
          [=](const Json& v, const Found&, Strategy& s) { s.*member = static_cast<int>(v.Int(least, most)); },
          [=](const Strategy& s) { return std::to_string(s.*member); }};
}

StrategyKey Flag(const char* name, bool Strategy::*member, const char* meaning) {
  return {name, meaning, [=](const Json& v, const Found&, Strategy& s) { s.*member = v.Bool(); },
          [=](const Strategy& s) { return std::string(s.*member ? "true" : "false"); }};
}

template <class Enum>
StrategyKey Choice(const char* name, Enum Strategy::*member, const std::vector<std::string>& (*names)(),
                   const char* meaning) {
  return {name, meaning,
          [=](const Json& v, const Found&, Strategy& s) { s.*member = static_cast<Enum>(v.OneOf(names())); },
          [=](const Strategy& s) { return names()[static_cast<std::size_t>(s.*member)]; }};
}

StrategyKey Word(const char* name, std::string Strategy::*member, const std::vector<std::string>& (*names)(),
                 const char* meaning) {
  return {name, meaning, [=](const Json& v, const Found&, Strategy& s) { s.*member = names()[v.OneOf(names())]; },
          [=](const Strategy& s) { return s.*member; }};
}

/// A number format, of the few that make sense for the key.
StrategyKey Format(const char* name, Dtype Strategy::*member, std::vector<std::string> legal, const char* meaning) {
  return {name, meaning,
          [=](const Json& v, const Found&, Strategy& s) {
            const std::string word = legal[v.OneOf(legal)];
            const auto& all = DtypeNames();
            s.*member = static_cast<Dtype>(std::find(all.begin(), all.end(), word) - all.begin());
          },
          [=](const Strategy& s) { return NameOf(s.*member); }};
}

StrategyKey ScheduleText() {
  return {"schedule_text", "the file that holds the order of tasks, where schedule is \"text\"",
          [](const Json& v, const Found& beside, Strategy& s) { s.schedule_text = ReadText(FindReference(v, beside)); },
          [](const Strategy& s) { return s.schedule_text.empty() ? std::string("none") : std::string("given"); }};
}

/// Shares, normalised to a sum of one.
void SetLoad(const Json& list, Strategy& strategy) {
  double sum = 0;
  strategy.expert_load.clear();
  for (const Json& share : list.Items()) {
    strategy.expert_load.push_back(share.Number(0, 1e12));
    sum += strategy.expert_load.back();
  }
  if (sum <= 0) list.Fail("sums to zero", "give each expert's share of the tokens");
  for (double& share : strategy.expert_load) share /= sum;
}

StrategyKey ExpertLoad() {
  return {"expert_load",
          "each expert's share of the tokens, as a list or a JSON file with a list; absent: by expert_load_zipf",
          [](const Json& v, const Found& beside, Strategy& s) {
            SetLoad(v.IsString() ? ReadJson(FindReference(v, beside)) : v, s);
          },
          [](const Strategy& s) {
            return s.expert_load.empty() ? "by expert_load_zipf" : std::to_string(s.expert_load.size()) + " shares";
          }};
}

StrategyKey Zipf() {
  return {"expert_load_zipf", "exponent of Zipf's law for the experts' shares of the tokens; 0: all equal",
          [](const Json& v, const Found&, Strategy& s) { s.expert_load_zipf = v.Number(0, 10); },
          [](const Strategy& s) { return Plain(s.expert_load_zipf); }};
}

StrategyKey RollbackShare() {
  return {"rollback_share",
          "share of steps that are rolled back (assumed); read where optimizer_barrier is post_validation",
          [](const Json& v, const Found&, Strategy& s) { s.rollback_share = v.Number(0, 1); },
          [](const Strategy& s) { return Plain(s.rollback_share); }};
}

using Keys = std::vector<StrategyKey>;

Keys Degrees() {
  using S = Strategy;
  return {
      Whole("tensor", &S::tensor, 1, kMaxDegree, "ranks that share each matrix of a layer"),
      Whole("pipeline", &S::pipeline, 1, kMaxDegree, "ranks that share the layers"),
      Whole("data", &S::data, 1, kMaxDegree, "replicas that share the batch; absent: GPUs / (tensor pipeline context)"),
      Whole("context", &S::context, 1, kMaxDegree, "ranks that share each sequence"),
      Whole("expert", &S::expert, 1, kMaxDegree, "ranks that share the experts of a layer"),
      Whole("expert_tensor", &S::expert_tensor, 1, kMaxDegree, "ranks that share each matrix of an expert"),
      Choice("rank_order", &S::rank_order, RankOrderNames,
             "which ranks are neighbours: data_inner numbers tp-cp-dp-pp, pipeline_inner tp-cp-pp-dp"),
  };
}

Keys PipelineKeys() {
  using S = Strategy;
  return {
      Choice("schedule", &S::schedule, ScheduleNames, "the order of the pipeline's tasks"),
      ScheduleText(),
      Whole("chunks_per_rank", &S::chunks_per_rank, 1, 1024, "virtual stages on each pipeline rank"),
      Whole("first_stage_layers", &S::first_stage_layers, 0, 10'000,
            "layers of the first virtual stage; 0: by the rule"),
      Whole("last_stage_layers", &S::last_stage_layers, 0, 10'000, "layers of the last virtual stage; 0: by the rule"),
      Flag("account_embedding_in_split", &S::account_embedding_in_split,
           "embedding and loss each count as one layer when layers are split over stages"),
      Flag("scatter_gather", &S::scatter_gather,
           "each tensor rank sends 1/tensor of a pipeline message, gathered inside the node on arrival"),
  };
}

Keys Overlaps() {
  using S = Strategy;
  return {
      Flag("sequence_parallel", &S::sequence_parallel, "normalisation and dropout split over the tensor ranks"),
      Choice("context_form", &S::context_form, ContextFormNames, "how context ranks exchange keys and values"),
      Flag("overlap_tensor", &S::overlap_tensor, "tensor communication runs beside matrix products"),
      Flag("pipelined_tensor", &S::pipelined_tensor,
           "tensor communication is cut into pieces that run beside the product that reads or makes them"),
      Flag("overlap_data", &S::overlap_data, "gradient reduction runs beside the backward pass"),
      Flag("overlap_parameter_gather", &S::overlap_parameter_gather, "parameter gather runs beside the forward pass"),
      Flag("overlap_pipeline", &S::overlap_pipeline, "pipeline messages run beside compute"),
      Choice("expert_dispatch", &S::expert_dispatch, ExpertDispatchNames,
             "a token travels once for each of its experts, or once for each rank that holds some of them"),
      Flag("overlap_expert", &S::overlap_expert,
           "expert all-to-alls of one microbatch run beside the compute of another's other direction"),
  };
}

Keys MemoryKeys() {
  using S = Strategy;
  return {
      Choice("recompute", &S::recompute, RecomputeNames, "activations that are computed again in the backward pass"),
      Whole("recompute_layers", &S::recompute_layers, 0, 10'000,
            "full recompute of only the first n layers of each stage; 0: of all"),
      Choice("optimizer_sharding", &S::optimizer_sharding, ShardingNames,
             "what data ranks share: zero1 optimizer state, zero2 also gradients, zero3 also parameters"),
      Whole("shard_group", &S::shard_group, 0, kMaxDegree,
            "ranks of a shard group (HSDP); 0: all data and context ranks"),
      Flag("zero2_reduce_every_microbatch", &S::zero2_reduce_every_microbatch,
           "gradients are reduced after every microbatch, so that only a shard is kept"),
      Choice("offload_optimizer", &S::offload_optimizer, OffloadNames, "where optimizer state lives"),
      Choice("offload_parameters", &S::offload_parameters, OffloadNames, "where parameters live between uses"),
      Choice("offload_gradients", &S::offload_gradients, OffloadNames, "where gradients live"),
      Choice("offload_activations", &S::offload_activations, OffloadNames, "where activations live until needed"),
  };
}

Keys Arithmetic() {
  using S = Strategy;
  return {
      Format("precision", &S::precision, {"fp32", "tf32", "fp16", "bf16", "fp8", "mxfp8", "nvfp4"},
             "format of the operands of matrix products"),
      Format("gradient_dtype", &S::gradient_dtype, {"fp32", "fp16", "bf16"}, "format of accumulated gradients"),
      Format("gradient_reduce_dtype", &S::gradient_reduce_dtype, {"fp32", "fp16", "bf16"},
             "format of gradients on the wire"),
      Word("fp8_recipe", &S::fp8_recipe, Fp8RecipeNames, "how fp8 operands are scaled; read where precision is fp8"),
      Choice("attention", &S::attention, AttentionFormNames, "one fused kernel, or matrix products and a softmax"),
      Choice("optimizer", &S::optimizer, OptimizerNames, "the update rule"),
      Choice(
          "optimizer_barrier", &S::optimizer_barrier, OptimizerBarrierNames,
          "before parameters change: global_norm waits for all gradients, post_validation rolls back what was wrong"),
      RollbackShare(),
      Format("moment_dtype", &S::moment_dtype, {"fp32", "bf16", "fp16", "fp8", "int8"},
             "format of the optimizer's moments"),
      Whole("galore_rank", &S::galore_rank, 0, 1 << 20,
            "rank of the projected gradient; read where optimizer is galore_adam"),
      Flag("compiled", &S::compiled, "a compiler fuses chains of elementwise operations"),
      Flag("fused_kernels", &S::fused_kernels, "the framework's fused softmax, bias and activation kernels are used"),
      Flag("fused_squared_relu", &S::fused_squared_relu,
           "squared ReLU is one kernel each way, as Megatron-LM compiles it since 2024; else PyTorch runs six"),
      Flag("average_in_collective", &S::average_in_collective,
           "reductions divide gradients by the number of replicas; else Megatron-LM does so in a pass of its own"),
      Flag("check_gradients", &S::check_gradients,
           "Megatron Core looks for NaN in its gradients before it reduces them, as it does unless told not to"),
      Flag("fused_loss", &S::fused_loss, "one kernel computes the loss and leaves its gradient in the logits' place"),
      Flag("fused_gradient_accumulation", &S::fused_gradient_accumulation,
           "weight-gradient products add to the gradient; else a kernel of its own does"),
      Zipf(),
      ExpertLoad(),
      Word("framework", &S::framework, FrameworkNames, "names the profile of what surrounds the kernels"),
  };
}

}  // namespace

const std::vector<StrategyKey>& StrategyKeys() {
  static const Keys keys = [] {
    Keys all;
    for (Keys part : {Degrees(), PipelineKeys(), Overlaps(), MemoryKeys(), Arithmetic()}) {
      std::move(part.begin(), part.end(), std::back_inserter(all));
    }
    return all;
  }();
  return keys;
}

const StrategyKey* FindStrategyKey(const std::string& name) {
  for (const StrategyKey& key : StrategyKeys()) {
    if (key.name == name) return &key;
  }
  return nullptr;
}

void SetStrategy(const std::string& name, const std::string& value, Strategy& strategy) {
  const StrategyKey* key = FindStrategyKey(name);
  ISO_CHECK(key != nullptr);
  const bool bare = value == "true" || value == "false" || value.find_first_not_of("0123456789.") == std::string::npos;
  const Found place{name, name};
  key->set(Json::Text("[" + (bare ? value : "\"" + value + "\"") + "]", name).At(0), place, strategy);
}

Strategy ReadStrategy(const std::vector<Json>& objects, const Found& beside, std::vector<std::string>& defaults) {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all;
    for (const StrategyKey& key : StrategyKeys()) all.push_back(key.name);
    return all;
  }();
  for (const Json& object : objects) object.Allow(names);
  Strategy strategy;
  for (const StrategyKey& key : StrategyKeys()) {
    bool given = false;
    for (const Json& object : objects) {
      const auto value = object.Find(key.name);
      if (!value) continue;
      if (given) value->Fail("is given twice", "keep one of them");
      key.set(*value, beside, strategy);
      given = true;
    }
    if (!given && key.name != "data") defaults.push_back(key.name + " = " + key.show(Strategy{}));
  }
  return strategy;
}

}  // namespace isochrone::plan
