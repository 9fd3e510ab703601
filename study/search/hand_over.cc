#include "study/search/hand_over.h"

#include "plan/schedule.h"

namespace isochrone::study {
namespace {

using plan::Recompute;
using plan::ScheduleKind;
using plan::Sharding;
using plan::Strategy;

std::string Text(std::int64_t v) { return std::to_string(v); }

bool IsOneOf(ScheduleKind kind, std::initializer_list<ScheduleKind> kinds) {
  for (ScheduleKind k : kinds) {
    if (k == kind) return true;
  }
  return false;
}

void MissOffload(const Strategy& s, std::vector<std::string>& missing) {
  if (s.offload_activations != plan::OffloadTarget::kNone) missing.push_back("offload_activations");
}

int ZeroStage(const Strategy& s) { return static_cast<int>(s.optimizer_sharding); }

}  // namespace

HandOver ForMegatron(const plan::Scenario& scenario) {
  const Strategy& s = scenario.strategy;
  HandOver out;
  const auto flag = [&](const std::string& name, const std::string& value = "") {
    out.text += (out.text.empty() ? "--" : " \\\n--") + name + (value.empty() ? "" : " " + value);
  };
  flag("tensor-model-parallel-size", Text(s.tensor));
  flag("pipeline-model-parallel-size", Text(s.pipeline));
  if (s.context > 1) flag("context-parallel-size", Text(s.context));
  if (s.expert > 1) flag("expert-model-parallel-size", Text(s.expert));
  if (s.expert_tensor != s.tensor && scenario.model.moe) flag("expert-tensor-parallel-size", Text(s.expert_tensor));
  flag("micro-batch-size", Text(scenario.batch.microbatch));
  flag("global-batch-size", Text(scenario.batch.sequences));
  flag("seq-length", Text(scenario.model.sequence));
  if (s.schedule == ScheduleKind::kInterleaved1f1b) {
    flag("num-virtual-stages-per-pipeline-rank", Text(s.chunks_per_rank));
  } else if (s.schedule != ScheduleKind::k1f1b && s.pipeline > 1) {
    out.missing.push_back("schedule " + plan::NameOf(s.schedule) + ": Megatron-LM runs 1f1b or interleaved_1f1b");
  }
  if (s.account_embedding_in_split) {
    flag("account-for-embedding-in-pipeline-split");
    flag("account-for-loss-in-pipeline-split");
  }
  if (s.first_stage_layers > 0) flag("decoder-first-pipeline-num-layers", Text(s.first_stage_layers));
  if (s.last_stage_layers > 0) flag("decoder-last-pipeline-num-layers", Text(s.last_stage_layers));
  if (s.sequence_parallel) flag("sequence-parallel");
  if (s.overlap_tensor) flag("tp-comm-overlap");
  if (s.recompute == Recompute::kFull) {
    flag("recompute-granularity", "full");
    flag("recompute-method", s.recompute_layers > 0 ? "block" : "uniform");
    flag("recompute-num-layers", Text(s.recompute_layers > 0 ? s.recompute_layers : 1));
  } else if (s.recompute != Recompute::kNone) {
    flag("recompute-granularity", "selective");
    if (s.recompute == Recompute::kSelectiveOp)
      out.missing.push_back("recompute selective_op: selective is the nearest");
  }
  if (s.optimizer_sharding != Sharding::kNone) flag("use-distributed-optimizer");
  if (ZeroStage(s) > 1) out.missing.push_back("optimizer_sharding zero2, zero3: --use-distributed-optimizer is zero1");
  if (s.overlap_data) flag("overlap-grad-reduce");
  if (s.overlap_parameter_gather) flag("overlap-param-gather");
  if (!s.overlap_pipeline && s.schedule == ScheduleKind::kInterleaved1f1b) flag("no-overlap-p2p-communication");
  if (s.attention == plan::AttentionForm::kFlash) flag("use-flash-attn");
  if (s.precision == plan::Dtype::kBf16 || s.precision == plan::Dtype::kFp16) flag(plan::NameOf(s.precision));
  if (s.precision == plan::Dtype::kFp8) flag("bf16"), flag("fp8-format", "hybrid");
  if (s.offload_optimizer == plan::OffloadTarget::kHost) flag("optimizer-cpu-offload");
  MissOffload(s, out.missing);
  out.text += "\n";
  return out;
}

HandOver ForDeepSpeed(const plan::Scenario& scenario) {
  const Strategy& s = scenario.strategy;
  HandOver out;
  const auto yes = [](bool v) { return std::string(v ? "true" : "false"); };
  out.text = "{\n  \"train_batch_size\": " + Text(scenario.batch.sequences) +
             ",\n  \"train_micro_batch_size_per_gpu\": " + Text(scenario.batch.microbatch) +
             ",\n  \"gradient_accumulation_steps\": " + Text(scenario.Microbatches()) + ",\n";
  if (s.precision == plan::Dtype::kFp16 || s.precision == plan::Dtype::kBf16)
    out.text += "  \"" + plan::NameOf(s.precision) + "\": { \"enabled\": true },\n";
  out.text += "  \"zero_optimization\": {\n    \"stage\": " + Text(ZeroStage(s)) +
              ",\n    \"overlap_comm\": " + yes(s.overlap_data);
  for (const auto& [key, target] :
       {std::pair{"offload_optimizer", s.offload_optimizer}, {"offload_param", s.offload_parameters}}) {
    if (target == plan::OffloadTarget::kNone) continue;
    out.text += std::string(",\n    \"") + key + "\": { \"device\": \"" +
                (target == plan::OffloadTarget::kHost ? "cpu" : "nvme") + "\" }";
  }
  out.text += "\n  }";
  if (s.tensor > 1) out.text += ",\n  \"tensor_parallel\": { \"autotp_size\": " + Text(s.tensor) + " }";
  if (s.recompute == Recompute::kFull)
    out.text += ",\n  \"activation_checkpointing\": { \"partition_activations\": false }";
  out.text += "\n}\n";
  if (s.pipeline > 1)
    out.missing.push_back("pipeline = " + Text(s.pipeline) + ": PipelineModule(num_stages) in code" +
                          (s.schedule == ScheduleKind::k1f1b ? "" : "; its schedule is 1f1b"));
  if (s.pipeline > 1 && ZeroStage(s) > 1) out.missing.push_back("a pipeline with zero2 or zero3: DeepSpeed refuses it");
  if (s.context > 1) out.missing.push_back("context = " + Text(s.context) + ": DeepSpeed-Ulysses is set up in code");
  if (s.sequence_parallel) out.missing.push_back("sequence_parallel: set in Megatron-DeepSpeed's arguments");
  if (s.recompute == Recompute::kSelective || s.recompute == Recompute::kSelectiveOp)
    out.missing.push_back("selective recomputation");
  MissOffload(s, out.missing);
  return out;
}

HandOver ForTorchtitan(const plan::Scenario& scenario) {
  const Strategy& s = scenario.strategy;
  HandOver out;
  std::string schedule;
  if (s.schedule == ScheduleKind::k1f1b) schedule = "1F1B";
  if (s.schedule == ScheduleKind::kGpipe) schedule = "GPipe";
  if (s.schedule == ScheduleKind::kInterleaved1f1b) schedule = "Interleaved1F1B";
  if (s.schedule == ScheduleKind::kZbV) schedule = "ZBVZeroBubble";
  if (s.schedule == ScheduleKind::kDualPipeV) schedule = "DualPipeV";
  const bool shards = ZeroStage(s) > 0;
  out.text = "[training]\nlocal_batch_size = " + Text(scenario.batch.sequences / s.data) +
             "\nglobal_batch_size = " + Text(scenario.batch.sequences) +
             "\nseq_len = " + Text(scenario.model.sequence) +
             "\n\n[parallelism]\ndata_parallel_replicate_degree = " + Text(shards ? 1 : s.data) +
             "\ndata_parallel_shard_degree = " + Text(shards ? s.data : 1) + "\nfsdp_reshard_after_forward = \"" +
             (s.optimizer_sharding == Sharding::kZero3 ? "always" : "never") +
             "\"\ntensor_parallel_degree = " + Text(s.tensor) + "\ncontext_parallel_degree = " + Text(s.context) +
             "\nexpert_parallel_degree = " + Text(s.expert) + "\npipeline_parallel_degree = " + Text(s.pipeline) + "\n";
  if (s.pipeline > 1) {
    if (!schedule.empty()) out.text += "pipeline_parallel_schedule = \"" + schedule + "\"\n";
    out.text += "pipeline_parallel_microbatch_size = " + Text(scenario.batch.microbatch) + "\n";
  }
  if (s.overlap_tensor) out.text += "enable_async_tensor_parallel = true\n";
  out.text += std::string("\n[activation_checkpoint]\nmode = \"") +
              (s.recompute == Recompute::kFull   ? "full"
               : s.recompute == Recompute::kNone ? "none"
                                                 : "selective") +
              "\"\n";
  if (s.pipeline > 1 && schedule.empty()) out.missing.push_back("schedule " + plan::NameOf(s.schedule));
  if (s.tensor > 1 && !s.sequence_parallel) out.missing.push_back("tensor parallelism without sequence_parallel");
  if (s.optimizer_sharding == Sharding::kZero1)
    out.missing.push_back("zero1: parameters and gradients are sharded too");
  if (s.pipeline > 1 && IsOneOf(s.schedule, {ScheduleKind::k1f1b, ScheduleKind::kInterleaved1f1b}) &&
      s.first_stage_layers + s.last_stage_layers > 0)
    out.missing.push_back("uneven ends: split points are given as module names");
  MissOffload(s, out.missing);
  return out;
}

const std::vector<std::string>& HandOverNames() {
  static const std::vector<std::string> names = {"megatron", "deepspeed", "torchtitan"};
  return names;
}

HandOver HandOverTo(std::size_t which, const plan::Scenario& scenario) {
  if (which == 0) return ForMegatron(scenario);
  return which == 1 ? ForDeepSpeed(scenario) : ForTorchtitan(scenario);
}

}  // namespace isochrone::study
