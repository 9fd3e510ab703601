// Stages against layers, number formats against the GPU, sharding and offload against each other.
#include <cstdint>

#include "base/json.h"
#include "plan/dtype.h"
#include "plan/scenario_check.h"
#include "plan/scenario_names.h"
#include "plan/stages.h"

namespace isochrone::plan {
namespace {

std::string Text(std::int64_t v) { return std::to_string(v); }

void CheckExplicitSplit(const Scenario& s, const Faults& faults) {
  const Strategy& strategy = s.strategy;
  const int first = strategy.first_stage_layers, last = strategy.last_stage_layers;
  if (first == 0 && last == 0) return;
  const char* key = first > 0 ? "first_stage_layers" : "last_stage_layers";
  const int stages = StagesOf(strategy), others = stages - (first > 0) - (last > 0),
            rest = s.model.layers - first - last;
  if (stages == 1) faults.Strategy(key, "needs more than one stage", "use 0, or pipeline = 2");
  if (strategy.account_embedding_in_split) {
    faults.Strategy(key, "says what account_embedding_in_split would decide",
                    "use 0, or account_embedding_in_split = false");
  }
  if (others == 0 ? rest != 0 : rest < 0) {
    const int whole = s.model.layers - (first > 0 ? last : 0);
    std::vector<Remedy> remedies;
    if (whole > 0) remedies.push_back({key, Text(whole)});
    remedies.push_back({key, "0"});
    faults.Strategy(key,
                    "leaves " + Text(rest) + " of the " + Text(s.model.layers) + " layers" + faults.OfModel() +
                        " for " + Text(others) + " other stages",
                    remedies);
  }
}

/// A format that the GPU's matrix units have; scaled in blocks from Blackwell on.
bool Has(const Gpu& gpu, Dtype precision) {
  const bool blocks = gpu.architecture == "blackwell";
  switch (precision) {
    case Dtype::kFp32:
      return gpu.fp32.value > 0;
    case Dtype::kTf32:
      return gpu.tf32.value > 0;
    case Dtype::kFp16:
      return gpu.fp16.value > 0;
    case Dtype::kBf16:
      return gpu.bf16.value > 0;
    case Dtype::kFp8:
      return gpu.fp8.value > 0;
    case Dtype::kMxfp8:
      return blocks && gpu.fp8.value > 0;
    case Dtype::kNvfp4:
      return blocks && gpu.fp4.value > 0;
    default:
      return false;
  }
}

void CheckPrecision(const Scenario& s, const Faults& faults) {
  const Gpu& gpu = s.cluster.node.gpu;
  if (Has(gpu, s.strategy.precision)) return;
  std::vector<std::string> present;
  for (Dtype d : {Dtype::kFp32, Dtype::kTf32, Dtype::kFp16, Dtype::kBf16, Dtype::kFp8, Dtype::kMxfp8, Dtype::kNvfp4}) {
    if (Has(gpu, d)) present.push_back(NameOf(d));
  }
  faults.Strategy("precision", "is not a format of " + gpu.name, "try " + JoinedWith(present, "or"));
}

void CheckSharding(const Scenario& s, const Faults& faults) {
  const Strategy& strategy = s.strategy;
  const std::int64_t replicas = std::int64_t{1} * strategy.data * strategy.context;
  if (strategy.shard_group > 0 && replicas % strategy.shard_group != 0) {
    faults.Strategy("shard_group", "must divide data · context = " + Text(replicas),
                    "try " + Legal(strategy.shard_group, replicas, [&](std::int64_t g) { return replicas % g == 0; }));
  }
  const std::int64_t group = strategy.shard_group, context = strategy.context;
  if (group > 0 && group % context != 0 && context % group != 0) {
    faults.Strategy("shard_group", "must be a multiple or a divisor of context = " + Text(context),
                    "try " + Legal(group, replicas, [&](std::int64_t g) {
                      return replicas % g == 0 && (g % context == 0 || context % g == 0);
                    }));
  }
  if (strategy.shard_group > 0 && strategy.optimizer_sharding == Sharding::kNone) {
    faults.Strategy("shard_group", "needs something to share, but optimizer_sharding is none",
                    "use 0, or optimizer_sharding = zero1, zero2 or zero3");
  }
  if (strategy.optimizer == OptimizerKind::kGaloreAdam &&
      (strategy.galore_rank < 1 || strategy.galore_rank > s.model.hidden)) {
    faults.Strategy("galore_rank", "must be a rank from 1 to hidden = " + Text(s.model.hidden) + faults.OfModel(),
                    "try " + Text(s.model.hidden / 4 > 0 ? s.model.hidden / 4 : 1));
  }
}

void CheckOffload(const Scenario& s, const Faults& faults) {
  const std::pair<const char*, OffloadTarget> all[] = {{"offload_optimizer", s.strategy.offload_optimizer},
                                                       {"offload_parameters", s.strategy.offload_parameters},
                                                       {"offload_gradients", s.strategy.offload_gradients},
                                                       {"offload_activations", s.strategy.offload_activations}};
  for (const auto& [key, target] : all) {
    if (target == OffloadTarget::kNvme && s.cluster.node.nvme.value == 0) {
      faults.Strategy(key, "needs drives, but " + s.cluster.node.name + " states no \"nvme\"", "use host or none");
    }
  }
}

}  // namespace

void CheckPipeline(const Scenario& s, const Faults& faults) {
  const Strategy& strategy = s.strategy;
  if (strategy.chunks_per_rank > 1 && strategy.pipeline == 1) {
    faults.Strategy("chunks_per_rank", "needs pipeline > 1", "use 1, or pipeline = 2");
  }
  const std::int64_t most = s.model.layers + 2;  // embedding and loss may have stages of their own
  if (StagesOf(strategy) > most) {
    const std::int64_t chunks = StagesOf(strategy) / strategy.pipeline;
    faults.Strategy(
        "pipeline",
        "makes " + Text(StagesOf(strategy)) + " stages for layers = " + Text(s.model.layers) + faults.OfModel(),
        most / chunks > 0 ? "try at most " + Text(most / chunks) : "try fewer chunks_per_rank");
  }
  if (strategy.schedule == ScheduleKind::kText && strategy.schedule_text.empty()) {
    faults.Strategy("schedule", "needs the order of tasks", "add \"schedule_text\": the name of a file with it");
  }
  CheckExplicitSplit(s, faults);
}

void CheckNumbers(const Scenario& s, const Faults& faults) {
  CheckPrecision(s, faults);
  CheckSharding(s, faults);
  CheckOffload(s, faults);
}

}  // namespace isochrone::plan
