#include "plan/step_program.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <tuple>

#include "plan/build.h"
#include "plan/layer_traffic.h"
#include "plan/memory.h"
#include "plan/state_memory.h"
#include "plan/state_ops.h"

namespace isochrone::plan {
namespace {

/// Megatron cuts gradients, and the parameters that it gathers, into buckets of at least this many parameters, and of
/// so many for each rank that shares them. Source  Megatron-Core, DistributedDataParallelConfig.bucket_size.
constexpr double kBucketParameters = 40e6, kBucketParametersPerRank = 1e6;
constexpr int kMostBuckets = 16;

int BucketsOf(const Layout& layout, double parameters) {
  const double bucket = std::max(kBucketParameters, kBucketParametersPerRank * layout.dp * layout.cp);
  return std::clamp(static_cast<int>(std::ceil(parameters / bucket)), 1, kMostBuckets);
}

struct Rank {  // one pipeline rank's parameters
  double dense = 0, expert = 0, partial_over_tensor = 0;
  double tied_table = 0;  // of a table whose copy another rank holds
};

bool CopiesDense(const Layout& l) { return l.dp * l.cp > 1; }

bool Shards(const Strategy& s) { return s.optimizer_sharding != Sharding::kNone; }

CollectiveKind ReductionOf(const Strategy& s) {
  return Shards(s) ? CollectiveKind::kReduceScatter : CollectiveKind::kAllReduce;
}

/// Dense gradients over the ranks that hold copies of them: within the shard group and, where there are several, the
/// shards across them. Calls add(op).
template <class Add>
void Reductions(const Strategy& s, const Layout& l, double elements, const Add& add) {
  const Dtype wire = s.gradient_reduce_dtype;
  if (!Shards(s) || l.Shard() == l.dp * l.cp) {
    add(DataOp("gradients", ReductionOf(s), Group::kDataContext, elements, wire));
    return;
  }
  add(DataOp("gradients", CollectiveKind::kReduceScatter, Group::kShard, elements, wire));
  add(ShardsOverCopies(l, elements, wire));
}

int LastTask(const Schedule& schedule, int rank, int chunk, bool backward) {
  const auto& order = schedule.order[static_cast<std::size_t>(rank)];
  for (int i = static_cast<int>(order.size()) - 1; i >= 0; --i) {
    const Task& t = order[static_cast<std::size_t>(i)];
    const bool is_last =
        backward ? (t.phase == Phase::kBackward || t.phase == Phase::kBackwardWeight || t.phase == Phase::kOverlapped)
                 : t.phase == Phase::kForward;
    const int of = t.phase == Phase::kOverlapped && backward ? t.chunk_b : t.chunk;
    if (is_last && of == chunk) return i;
  }
  return Anchor::kStepEnd;
}

int FirstForward(const Schedule& schedule, int rank, int chunk) {
  const auto& order = schedule.order[static_cast<std::size_t>(rank)];
  for (std::size_t i = 0; i < order.size(); ++i) {
    if ((order[i].phase == Phase::kForward || order[i].phase == Phase::kOverlapped) && order[i].chunk == chunk)
      return static_cast<int>(i);
  }
  return Anchor::kNone;
}

/// Gradient buckets of one chunk beside its last backward pass.
void AddBuckets(const Strategy& s, const Layout& layout, int chunk, const SlotParameters& parameters,
                std::vector<SideRun>& runs) {
  const int buckets = BucketsOf(layout, parameters.dense);
  if (parameters.dense > 0 && CopiesDense(layout)) {
    Reductions(s, layout, parameters.dense / buckets, [&](Op op) { runs.push_back({std::move(op), chunk, buckets}); });
  }
  if (parameters.expert > 0)
    runs.push_back({ExpertReduction(ReductionOf(s), parameters.expert, s.gradient_reduce_dtype), chunk, 1});
}

/// Updated parameters of one chunk.
void AddGathers(const Layout& layout, int chunk, const SlotParameters& parameters, Dtype dtype,
                std::vector<SideRun>& runs) {
  for (const auto& [group, n] :
       {std::pair{Group::kShard, parameters.dense}, std::pair{Group::kExpertData, parameters.expert}}) {
    if (n <= 0 || (group == Group::kShard && !CopiesDense(layout))) continue;
    const int buckets = BucketsOf(layout, n);
    runs.push_back({DataOp("parameters", CollectiveKind::kAllGather, group, n / buckets, dtype), chunk, buckets, true});
  }
}

/// Bytes that an update reads and writes for each parameter. With a master copy, in the passes that mixed-precision
/// optimizers make: gradients copied to fp32 (where they are 16-bit), unscaled in place (fp16), the update itself, the
/// master copied to the parameter. Source  Megatron-LM, megatron/optimizer/optimizer.py,
/// Float16OptimizerWithFloat16Params.
double UpdateTraffic(const Strategy& s) {
  const StateBytes bytes = StateBytesOf(s);
  const double moments = 2 * SizeOf(s.moment_dtype).value, gradient = std::max(4.0, bytes.gradient);
  const double weight = std::max(4.0, bytes.parameter), update = gradient + 2 * (moments + weight);
  if (bytes.parameter >= 4) return update;
  const double copied = bytes.gradient < 4 ? bytes.gradient + 4 : 0, unscaled = s.precision == Dtype::kFp16 ? 8 : 0;
  return copied + unscaled + update + 4 + bytes.parameter;
}

Op UpdateOp(const Strategy& s, double parameters) {
  return {
      .name = "optimizer",
      .kind = OptimizerUpdate{.kind = s.optimizer, .parameters = parameters, .bytes_per_parameter = UpdateTraffic(s)},
      .in = {},
      .out = {},
      .after = {}};
}

/// The update where the state lies. Offloaded, gradients go out, the host's processors read and write the state (at no
/// more than the link's rate, which is what a host's memory serves its GPUs with), drives are read and written, and
/// parameters come back. Source  Ren et al., arXiv 2101.06840; Rajbhandari et al., arXiv 2104.07857, section 5.
void AddUpdate(const Strategy& s, double parameters, std::vector<Op>& ops) {
  const StateBytes bytes = StateBytesOf(s);
  const Bytes updated(parameters * bytes.parameter);
  if (s.offload_optimizer == OffloadTarget::kNone) {
    ops.push_back(UpdateOp(s, parameters));
    if (s.offload_parameters != OffloadTarget::kNone)
      ops.push_back(OffloadCopy("parameters_out", s.offload_parameters, true, updated));
    return;
  }
  const Bytes state(parameters * bytes.optimizer);
  if (s.offload_gradients == OffloadTarget::kNone) {
    ops.push_back(CopyOp("gradients_out", TransferKind::kToHost, parameters * SizeOf(s.gradient_reduce_dtype)));
  }
  if (s.offload_gradients == OffloadTarget::kNvme) {
    ops.push_back(CopyOp("gradients_fetch", TransferKind::kFromNvme, parameters * SizeOf(s.gradient_reduce_dtype)));
  }
  if (s.offload_optimizer == OffloadTarget::kNvme) {
    ops.push_back(CopyOp("optimizer_fetch", TransferKind::kFromNvme, state));
    ops.push_back(CopyOp("optimizer_out", TransferKind::kToNvme, state));
  } else {
    ops.push_back(CopyOp("optimizer_on_host", TransferKind::kFromHost, 2 * state));
  }
  if (s.offload_parameters == OffloadTarget::kNone) {
    ops.push_back(CopyOp("parameters_fetch", TransferKind::kFromHost, updated));
  }
  if (s.offload_parameters == OffloadTarget::kNvme)
    ops.push_back(CopyOp("parameters_out", TransferKind::kToNvme, updated));
}

/// The first layer's gather, which no layer before hides, and the last reduction of its gradients.
void AddFirstLayer(const Scenario& scenario, const Plan& plan, int rank, RankStep& step) {
  const bool gathers = scenario.strategy.optimizer_sharding == Sharding::kZero3;
  const bool reduces = ReducesEveryMicrobatch(scenario.strategy);
  const StageContent& stage = plan.stages[static_cast<std::size_t>(plan.schedule.placement.StageOf(rank, 0))];
  if ((!gathers && !reduces) || stage.sections.empty()) return;
  const LayerContext context = ContextOf(scenario);
  const LayerProgram& first = plan.programs[static_cast<std::size_t>(stage.sections.front().program)];
  if (gathers) step.prologue = GatherOps(context, first);
  if (reduces) step.epilogue = ReduceOps(context, first);
}

/// How often a step passes over all gradients of a rank beside reducing them and what the optimizer reads:
/// Megatron-LM's buffer is cleared (once), divided by the number of replicas (twice: read and written) and looked at
/// for NaN (once); PyTorch's buckets are filled, divided on the way, and emptied (twice each). Source  Megatron-LM,
/// core/distributed/param_and_grad_buffer.py, start_grad_sync and reset; before 2023 model/distributed.py,
/// allreduce_gradients; PyTorch, reducer.cpp.
double BufferPasses(const Scenario& scenario, bool replicas) {
  const Strategy& s = scenario.strategy;
  const bool core = s.framework == "megatron_core";
  if ((!core && !s.framework.starts_with("megatron_lm_")) || HoldingOf(scenario) == Holding::kExact ||
      ReducesEveryMicrobatch(s) || s.offload_gradients != OffloadTarget::kNone)
    return 0;
  const double average = !replicas || s.average_in_collective ? 0 : ReducesInTorchBuckets(s) ? 4 : 2;
  return 1 + average + (core && s.check_gradients ? 1 : 0);
}

/// Who waits for whom before parameters change: all ranks for the norm of all gradients; or nobody, where updates
/// start from each rank's own norm and those of `rollback_share` of the steps are undone and done again once the norm
/// is known to exceed the limit. Source  Qi et al., arXiv 2401.10241, section 4.
///
/// passed  gradients that the buffers' passes go over, counted once for each
void AddNormAndUpdate(const Strategy& s, const Layout& layout, double held, double passed, std::vector<Op>& ops) {
  ops.push_back({.name = "gradient_norm",
                 .kind = GradientNorm{.bytes = (held + passed) * SizeOf(s.gradient_dtype)},
                 .in = {},
                 .out = {},
                 .after = {}});
  if (layout.World() > 1) {
    ops.push_back(DataOp("gradient_norm_reduce", CollectiveKind::kAllReduce, Group::kWorld, 1, Dtype::kFp32));
  }
  AddUpdate(s, held, ops);
  if (s.optimizer_barrier == OptimizerBarrier::kPostValidation && s.rollback_share > 0) {
    Op rollback = UpdateOp(s, held);
    rollback.name = "optimizer_rollback";
    std::get<OptimizerUpdate>(rollback.kind).bytes_per_parameter *= 2 * s.rollback_share;
    ops.push_back(std::move(rollback));
  }
}

void AddEpilogue(const Scenario& scenario, const Plan& plan, const Rank& mine, Dtype parameter_dtype,
                 std::vector<Op>& ops) {
  const Strategy& s = scenario.strategy;
  const Layout& layout = plan.layout;
  const int shards = layout.Shard();
  if (mine.partial_over_tensor > 0) {
    ops.push_back(DataOp("norm_gradients", CollectiveKind::kAllReduce, Group::kTensor, mine.partial_over_tensor,
                         s.gradient_dtype));
    ops.back().stream = Stream::kTensor;
  }
  if (mine.tied_table > 0 && layout.pp > 1) {
    ops.push_back(DataOp("tied_embedding_gradient", CollectiveKind::kAllReduce, Group::kEmbedding, mine.tied_table,
                         s.gradient_dtype));
  }
  if (!s.overlap_data && !ReducesEveryMicrobatch(s)) {
    if (mine.dense > 0 && CopiesDense(layout)) {
      Reductions(s, layout, mine.dense, [&](Op op) { ops.push_back(std::move(op)); });
    }
    if (mine.expert > 0 && layout.Edp() > 1) {
      ops.push_back(ExpertReduction(ReductionOf(s), mine.expert, s.gradient_reduce_dtype));
    }
  }
  const double held =
      Shards(s) ? mine.dense / shards + mine.expert / std::max(1, layout.Edp()) : mine.dense + mine.expert;
  if (plan.schedule.placement.directions > 1) {
    ops.push_back(DataOp("twin_gradients", CollectiveKind::kAllReduce, Group::kTwin, held, s.gradient_dtype));
  }
  const double passed = BufferPasses(scenario, CopiesDense(layout)) * (mine.dense + mine.expert);
  AddNormAndUpdate(s, layout, held, passed, ops);
  const bool gathers = (s.optimizer_sharding == Sharding::kZero1 || s.optimizer_sharding == Sharding::kZero2) &&
                       !s.overlap_parameter_gather;
  if (gathers && mine.dense > 0 && shards > 1) {
    ops.push_back(DataOp("parameters", CollectiveKind::kAllGather, Group::kShard, mine.dense, parameter_dtype));
  }
  if (gathers && mine.expert > 0 && layout.Edp() > 1) {
    ops.push_back(
        DataOp("expert_parameters", CollectiveKind::kAllGather, Group::kExpertData, mine.expert, parameter_dtype));
  }
}

std::vector<SideRun> SideRunsOf(const Strategy& s, const Layout& layout, const std::vector<SlotParameters>& slots,
                                Dtype parameter_dtype) {
  std::vector<SideRun> runs;
  const bool several = CopiesDense(layout) || layout.Edp() > 1;  // experts also where dense layers have one copy
  if (!several || s.optimizer_sharding == Sharding::kZero3) return runs;
  const int chunks = static_cast<int>(slots.size());
  for (int chunk = 0; chunk < chunks && s.overlap_parameter_gather && Shards(s); ++chunk)
    AddGathers(layout, chunk, slots[static_cast<std::size_t>(chunk)], parameter_dtype, runs);
  for (int chunk = 0; chunk < chunks && s.overlap_data && !ReducesEveryMicrobatch(s); ++chunk)
    AddBuckets(s, layout, chunk, slots[static_cast<std::size_t>(chunk)], runs);
  return runs;
}

/// Adds the tasks of `runs` in the order in which a rank's data stream runs them: gathers as their chunks are needed,
/// then buckets as their gradients are ready.
void AddSideTasks(const std::vector<SideRun>& runs, int rank, Plan& plan) {
  std::vector<std::tuple<bool, int, double, std::size_t, int>> places;  // the run, and which of its tasks, last
  for (std::size_t r = 0; r < runs.size(); ++r) {
    const auto& [op, chunk, count, gather] = runs[r];
    const int task = gather ? FirstForward(plan.schedule, rank, chunk) : LastTask(plan.schedule, rank, chunk, true);
    for (int i = 0; i < count; ++i) places.emplace_back(!gather, task, (i + (gather ? 0.0 : 1.0)) / count, r, i);
  }
  std::sort(places.begin(), places.end());
  for (const auto& [reduces, task, progress, r, i] : places) {
    SideTask side{.rank = rank, .op = runs[r].op, .after = {}, .before = {}};
    if (reduces) side.after = {task, progress};
    else side.after = {Anchor::kStepStart, 1.0}, side.before = {task, progress};
    plan.side.push_back(std::move(side));
  }
}

}  // namespace

StateBytes StateBytesOf(const Strategy& s) {
  // 8-bit Adam: moments of one byte and a scale for every block of 256 (Dettmers et al., arXiv 2110.02861).
  const bool blocks = s.optimizer == OptimizerKind::kAdam8bit;
  const double moments = s.optimizer == OptimizerKind::kSgd ? 0
                         : blocks                           ? 2 * (1 + 4.0 / 256)
                                                            : 2 * SizeOf(s.moment_dtype).value;
  if (s.precision == Dtype::kFp64) return {8, 8, 16};
  if (s.precision == Dtype::kFp32 || s.precision == Dtype::kTf32) return {4, 4, moments};
  const double gradient = SizeOf(s.gradient_dtype).value;
  // A master copy; and, where gradients are 16-bit, their fp32 copy for the update.
  return {2, gradient, 4 + moments + (gradient < 4 ? 4 : 0)};
}

std::vector<RankStep> StepWorkOf(const Scenario& scenario, const Plan& plan) {
  const Strategy& s = scenario.strategy;
  const Placement& place = plan.schedule.placement;
  const Dtype parameter_dtype = StateBytesOf(s).parameter >= 4 ? Dtype::kFp32 : Dtype::kBf16;
  std::vector<std::optional<SlotParameters>> of_stage(plan.stages.size());
  std::vector<RankStep> steps(static_cast<std::size_t>(place.ranks));
  for (int rank = 0; rank < place.ranks; ++rank) {
    Rank mine;
    int tables = 0;
    std::vector<SlotParameters> slots;
    for (int chunk = 0; chunk < place.chunks; ++chunk) {
      auto& stage = of_stage[static_cast<std::size_t>(place.StageOf(rank, chunk))];
      if (!stage) stage = ParametersOf(plan, rank, chunk);
      slots.push_back(*stage);
      mine.dense += slots.back().dense;
      mine.expert += slots.back().expert;
      mine.partial_over_tensor += slots.back().partial_over_tensor;
      if (!scenario.model.tied_embeddings || slots.back().tied_table == 0) continue;
      mine.tied_table += slots.back().tied_table;
      ++tables;
    }
    if (tables > 1) mine.tied_table = 0;  // both ends of the pipeline are here: gradients are added where they are
    RankStep& step = steps[static_cast<std::size_t>(rank)];
    AddFirstLayer(scenario, plan, rank, step);
    step.side = SideRunsOf(s, plan.layout, slots, parameter_dtype);
    AddEpilogue(scenario, plan, mine, parameter_dtype, step.epilogue);
  }
  return steps;
}

bool HasBarrier(const Strategy& strategy) { return strategy.optimizer_barrier == OptimizerBarrier::kGlobalNorm; }

void AddStepWork(const Scenario& scenario, Plan& plan) {
  std::vector<RankStep> steps = StepWorkOf(scenario, plan);
  plan.epilogue_barrier = HasBarrier(scenario.strategy);
  for (std::size_t rank = 0; rank < steps.size(); ++rank) {
    AddSideTasks(steps[rank].side, static_cast<int>(rank), plan);
    plan.prologue.push_back(std::move(steps[rank].prologue));
    plan.epilogue.push_back(std::move(steps[rank].epilogue));
  }
}

}  // namespace isochrone::plan
