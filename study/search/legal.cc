#include "study/search/legal.h"

#include "base/error.h"
#include "plan/layer_traffic.h"
#include "plan/stages.h"
#include "plan/state_memory.h"

namespace isochrone::study {
namespace {

using plan::ScheduleKind;
using plan::Sharding;
using plan::Strategy;

/// Chunks that a rank has in a schedule; 0 where chunks_per_rank decides.
int FixedChunks(ScheduleKind kind) {
  switch (kind) {
    case ScheduleKind::kZbV:
    case ScheduleKind::kVHalf:
    case ScheduleKind::kVMin:
    case ScheduleKind::kDualPipe:
    case ScheduleKind::kDualPipeV:
      return 2;
    case ScheduleKind::kInterleaved1f1b:
    case ScheduleKind::kText:
      return 0;
    default:
      return 1;
  }
}

int Replicas(const Strategy& s) { return s.data * s.context; }

}  // namespace

bool LegalBlock(const plan::Scenario& scenario) {
  plan::Scenario alone = scenario;
  Strategy& s = alone.strategy;
  s.pipeline = s.chunks_per_rank = 1;
  s.schedule = ScheduleKind::k1f1b;
  s.first_stage_layers = s.last_stage_layers = s.shard_group = 0;
  s.account_embedding_in_split = false;
  s.optimizer_sharding = Sharding::kNone;  // LegalStep asks for the value that is walked
  s.schedule_text.clear();
  s.data = alone.model.moe ? s.expert * s.expert_tensor : 1;
  alone.batch.sequences = alone.batch.microbatch * s.data;
  if (s.tensor * s.context * s.data > alone.cluster.Gpus()) alone.cluster.nodes = s.tensor * s.context * s.data;
  try {
    plan::Check(alone);
  } catch (const Error&) {
    return false;
  }
  return true;
}

bool LegalLayout(const Space& space, const plan::Scenario& scenario) {
  const Strategy& s = scenario.strategy;
  const std::int64_t world = std::int64_t{1} * s.tensor * s.context * s.data * s.pipeline;
  const std::int64_t gpus = scenario.cluster.Gpus();
  if (world > gpus || (!space.constraints.idle_gpus && world != gpus)) return false;
  if (space.constraints.most_gpus > 0 && world > space.constraints.most_gpus) return false;
  if (space.constraints.tensor_fills_node && s.pipeline > 1 && s.tensor < scenario.cluster.node.domain_gpus)
    return false;
  const std::int64_t stage = world / s.pipeline;
  if (scenario.model.moe && stage % (std::int64_t{1} * s.expert * s.expert_tensor) != 0) return false;
  return scenario.batch.sequences > 0 && scenario.batch.sequences % (scenario.batch.microbatch * s.data) == 0;
}

bool LegalPipeline(const plan::Scenario& scenario, const Constraints& constraints) {
  const Strategy& s = scenario.strategy;
  const int stages = plan::StagesOf(s), layers = scenario.model.layers;
  if (stages > layers + 2) return false;
  if (constraints.even_pipeline) {
    const bool rounds = s.schedule == ScheduleKind::kInterleaved1f1b;
    if (layers % stages != 0) return false;
    if (rounds && (scenario.Microbatches() % s.pipeline != 0 || s.pipeline == 2)) return false;
  }
  if (s.pipeline == 1 &&
      (s.chunks_per_rank > 1 || (s.schedule != ScheduleKind::k1f1b && s.schedule != ScheduleKind::kGpipe)))
    return false;
  if (const int fixed = FixedChunks(s.schedule); fixed > 0 && s.chunks_per_rank > fixed) return false;
  const int first = s.first_stage_layers, last = s.last_stage_layers;
  if (first > 0 || last > 0) {
    const int others = stages - (first > 0) - (last > 0), rest = layers - first - last;
    if (stages == 1 || s.account_embedding_in_split || (others == 0 ? rest != 0 : rest < 0)) return false;
  }
  if (s.account_embedding_in_split && stages > 1 && (layers + 2) / stages < 1) return false;
  return true;
}

bool LegalStep(const plan::Scenario& scenario) {
  const Strategy& s = scenario.strategy;
  if (plan::ReducesInTorchBuckets(s) && s.pipeline > 1) return false;
  if (s.optimizer == plan::OptimizerKind::kGaloreAdam && s.optimizer_sharding != Sharding::kNone) return false;
  const int group = s.shard_group, context = s.context;
  if (group == 0) return true;
  if (group % context != 0 && context % group != 0) return false;
  return s.optimizer_sharding != Sharding::kNone && Replicas(s) % group == 0;
}

StepKeys StepKeysOf(const Strategy& s) {
  return {s.optimizer_sharding, s.shard_group, s.zero2_reduce_every_microbatch, s.overlap_data,
          s.overlap_parameter_gather};
}

void SetStepKeys(const StepKeys& keys, Strategy& s) {
  s.optimizer_sharding = keys.optimizer_sharding;
  s.shard_group = keys.shard_group;
  s.zero2_reduce_every_microbatch = keys.zero2_reduce_every_microbatch;
  s.overlap_data = keys.overlap_data;
  s.overlap_parameter_gather = keys.overlap_parameter_gather;
}

StepKeys EffectOfStep(const plan::Scenario& scenario) {
  const Strategy& s = scenario.strategy;
  StepKeys effect = StepKeysOf(s);
  const bool one = Replicas(s) == 1, every = plan::ReducesEveryMicrobatch(s);
  const bool experts_too = !scenario.model.moe || s.tensor * s.context * s.data == s.expert * s.expert_tensor;
  const bool alone = one && experts_too;  // nobody shares anything
  Sharding& sharding = effect.optimizer_sharding;
  if (sharding == Sharding::kZero2 && !every) sharding = Sharding::kZero1;
  // DeepSpeed takes another path through its code with ZeRO, even where there is nothing to share.
  if (alone && s.framework != "megatron_deepspeed") {
    if (sharding == Sharding::kZero1) sharding = Sharding::kNone;
    // What is fetched anyway is fetched from nobody else.
    if (sharding == Sharding::kZero3 && s.offload_parameters != plan::OffloadTarget::kNone) sharding = Sharding::kZero2;
  }
  effect.zero2_reduce_every_microbatch = false;                               // said by the sharding
  if (alone && !plan::ReducesInTorchBuckets(s)) effect.overlap_data = false;  // whose buckets take memory
  if (alone || sharding == Sharding::kNone) effect.overlap_parameter_gather = false;
  if (sharding == Sharding::kNone || effect.shard_group == Replicas(s)) effect.shard_group = 0;
  return effect;
}

bool RepeatsBlock(const Strategy& s, const Strategy& base) {
  if (s.context == 1 && s.context_form != base.context_form) return true;
  if (s.tensor > 1) return false;
  return s.sequence_parallel != base.sequence_parallel || s.overlap_tensor != base.overlap_tensor;
}

bool RepeatsLayout(const Strategy& s, const Strategy& base) {
  return (s.data == 1 || s.pipeline == 1) && s.rank_order != base.rank_order;
}

bool RepeatsPipeline(const Strategy& s, const Strategy& base) {
  if (FixedChunks(s.schedule) == 2 && s.chunks_per_rank != base.chunks_per_rank) return true;
  const bool scatters = s.pipeline > 1 && s.tensor > 1 && !s.sequence_parallel;
  if (!scatters && s.scatter_gather != base.scatter_gather) return true;
  return s.pipeline == 1 && s.overlap_pipeline != base.overlap_pipeline;
}

}  // namespace isochrone::study
