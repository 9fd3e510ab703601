// Forms of attention, state and order that do not go together, each refused with settings that do.
#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "plan/scenario_check.h"
#include "plan/stages.h"

namespace isochrone::plan {
namespace {

using Remedies = std::vector<Remedy>;

std::string Text(std::int64_t v) { return std::to_string(v); }

// ---- attention over context ranks
// ------------------------------------------------------------------------------------

bool HasMamba(const Model& model) { return model.pattern.find('M') != std::string::npos; }

bool HasWindow(const Model& model) { return model.window > 0 && model.window < model.sequence; }

void CheckContextForm(const Scenario& s, const Faults& faults) {
  if (s.strategy.context == 1) return;
  if (HasMamba(s.model)) {
    faults.Strategy("context", "cuts sequences, whose Mamba-2 layers pass a state from each position to the next",
                    Remedies{{"context", "1"}});
  }
  const bool whole = s.strategy.context_form == ContextForm::kUlysses;  // heads are cut, positions are not
  if (s.strategy.context_form == ContextForm::kRing && HasWindow(s.model)) {
    faults.Strategy("context_form",
                    "passes every block of keys around, but a query sees window = " + Text(s.model.window) +
                        " of the " + Text(s.model.sequence) + " positions" + faults.OfModel(),
                    Remedies{{"context_form", "all_gather"}, {"context_form", "ulysses"}, {"context", "1"}});
  }
  if (!whole && s.strategy.attention == AttentionForm::kUnfused) {
    faults.Strategy("attention", "has no form that merges the blocks of keys of several context ranks",
                    Remedies{{"attention", "flash"}, {"context_form", "ulysses"}, {"context", "1"}});
  }
}

// ---- state
// -----------------------------------------------------------------------------------------------------------

void CheckOptimizerForm(const Scenario& s, const Faults& faults) {
  const Strategy& y = s.strategy;
  if (y.optimizer == OptimizerKind::kGaloreAdam && y.optimizer_sharding != Sharding::kNone) {
    faults.Strategy("optimizer", "projects whole matrices, but optimizer_sharding cuts them at any element",
                    Remedies{{"optimizer_sharding", "none"}, {"optimizer", "adam"}});
  }
  if (y.optimizer == OptimizerKind::kGaloreAdam && y.offload_optimizer != OffloadTarget::kNone) {
    faults.Strategy("optimizer", "keeps its projections beside the gradients, but offload_optimizer moves them away",
                    Remedies{{"offload_optimizer", "none"}, {"optimizer", "adam"}});
  }
  if (y.optimizer_barrier == OptimizerBarrier::kPostValidation && y.offload_optimizer != OffloadTarget::kNone) {
    faults.Strategy("optimizer_barrier", "undoes updates on the GPU, but offload_optimizer makes them elsewhere",
                    Remedies{{"offload_optimizer", "none"}, {"optimizer_barrier", "global_norm"}});
  }
  if (y.optimizer == OptimizerKind::kAdam8bit && y.moment_dtype != Dtype::kFp32 && y.moment_dtype != Dtype::kInt8) {
    faults.Strategy("moment_dtype", "is not the format of adam8bit, which keeps moments in one byte",
                    Remedies{{"moment_dtype", "int8"}, {"optimizer", "adam"}});
  }
  if (y.offload_gradients != OffloadTarget::kNone && y.offload_optimizer == OffloadTarget::kNone) {
    faults.Strategy("offload_gradients", "moves gradients away from an optimizer that works on the GPU",
                    Remedies{{"offload_optimizer", "host"}, {"offload_gradients", "none"}});
  }
}

void CheckRecomputeForm(const Scenario& s, const Faults& faults) {
  if (s.strategy.recompute_layers == 0 || s.strategy.recompute == Recompute::kFull) return;
  faults.Strategy("recompute_layers", "counts layers that are recomputed in full, but recompute is not full",
                  Remedies{{"recompute", "full"}, {"recompute_layers", "0"}});
}

// ---- order
// -----------------------------------------------------------------------------------------------------------

/// Settings beside the one given at which a schedule might have a legal shape, the nearest first, the plainest last.
Remedies Neighbours(const Scenario& s) {
  const Strategy& y = s.strategy;
  const std::int64_t share = s.batch.microbatch * y.data, twice = 2 * std::int64_t{y.pipeline};
  Remedies all;
  if (y.schedule == ScheduleKind::kInterleaved1f1b) all.push_back({"chunks_per_rank", "2"});
  all.push_back({"pipeline", Text(y.pipeline + 1)});
  if (y.pipeline > 1) all.push_back({"pipeline", Text(y.pipeline - 1)});
  all.push_back({"sequences", Text(s.batch.sequences + share)});
  all.push_back({"sequences", Text(twice * share)});
  if (s.batch.microbatch > 1) all.push_back({"microbatch", "1"});
  if (y.schedule != ScheduleKind::kInterleaved1f1b) all.push_back({"schedule", "interleaved_1f1b"});
  if (y.schedule != ScheduleKind::k1f1b) all.push_back({"schedule", "1f1b"});
  else all.push_back({"chunks_per_rank", "1"});
  return all;
}

/// An order given as text runs the batch on the ranks and stages of the scenario.
void CheckText(const Scenario& s, const Faults& faults) {
  const Strategy& y = s.strategy;
  const Schedule schedule = ParseSchedule(y.schedule_text, s.file + ": /strategy/schedule_text");
  Validate(schedule);
  const Placement& place = schedule.placement;
  if (place.ranks != y.pipeline) {
    faults.Strategy("pipeline", "is not the number of ranks in schedule_text, " + Text(place.ranks),
                    Remedies{{"pipeline", Text(place.ranks)}});
  }
  if (place.stages != StagesOf(y)) {
    const std::string chunks = Text(std::max(1, place.stages / place.ranks));
    faults.Strategy("chunks_per_rank",
                    "makes " + Text(StagesOf(y)) + " stages, but schedule_text places " + Text(place.stages),
                    Remedies{{"chunks_per_rank", chunks}});
  }
  if (schedule.microbatches != s.Microbatches()) {
    const std::int64_t sequences = schedule.microbatches * s.batch.microbatch * y.data;
    faults.Batch(
        "sequences", s.batch.sequences,
        "makes " + Text(s.Microbatches()) + " microbatches, but schedule_text runs " + Text(schedule.microbatches),
        "use sequences = " + Text(sequences));
  }
}

}  // namespace

void CheckForms(const Scenario& scenario, const Faults& faults) {
  CheckContextForm(scenario, faults);
  CheckRecomputeForm(scenario, faults);
  CheckOptimizerForm(scenario, faults);
}

void CheckSchedule(const Scenario& s, const Faults& faults) {
  const Strategy& y = s.strategy;
  if (y.schedule == ScheduleKind::kText) return CheckText(s, faults);
  if (!y.schedule_text.empty()) {
    faults.Strategy("schedule", "is built by rule, but schedule_text gives an order of its own",
                    Remedies{{"schedule", "text"}});
  }
  if (ChunksOf(y) != y.chunks_per_rank && y.chunks_per_rank != 1) {
    faults.Strategy("chunks_per_rank", "is not the 2 that " + NameOf(y.schedule) + " has by construction",
                    Remedies{{"schedule", "interleaved_1f1b"}, {"chunks_per_rank", "2"}});
  }
  try {
    CheckShape({.kind = y.schedule, .ranks = y.pipeline, .chunks = ChunksOf(y), .microbatches = s.Microbatches()});
  } catch (const Error& impossible) {
    faults.Strategy("schedule", impossible.fault, Neighbours(s));
  }
}

}  // namespace isochrone::plan
