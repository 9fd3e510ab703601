#include "study/search/step_terms.h"

#include <algorithm>
#include <iterator>

#include "base/error.h"
#include "plan/memory.h"
#include "plan/step_program.h"

namespace isochrone::study {
namespace {

using plan::Group;
using plan::Op;

/// The contents of a rank's chunks, and which ranks have the same.
struct Classes {
  std::vector<int> first;  // [class] rank
  std::vector<int> of;     // [rank] class
};

Classes ClassesOf(const StageCut& cut, const InFlight& in_flight) {
  Classes classes;
  const auto chunks = static_cast<std::size_t>(in_flight.chunks);
  const auto kind = [&](int rank, std::size_t chunk) {
    return cut.kind[static_cast<std::size_t>(in_flight.stage[static_cast<std::size_t>(rank) * chunks + chunk])];
  };
  const auto same = [&](int a, int b) {
    for (std::size_t c = 0; c < chunks; ++c) {
      if (kind(a, c) != kind(b, c)) return false;
    }
    return true;
  };
  for (int rank = 0; rank < in_flight.ranks; ++rank) {
    const auto it = std::find_if(classes.first.begin(), classes.first.end(), [&](int r) { return same(r, rank); });
    classes.of.push_back(static_cast<int>(it - classes.first.begin()));
    if (it == classes.first.end()) classes.first.push_back(rank);
  }
  return classes;
}

/// Puts one rank of each class on `sample`, with one forward and backward pass of each chunk: AddStepWork and StateOf
/// look at nothing else.
void PlaceClasses(const StageCut& cut, const InFlight& in_flight, const Classes& classes, plan::Plan& sample) {
  plan::Placement& place = sample.schedule.placement;
  place.ranks = static_cast<int>(classes.first.size());
  place.chunks = in_flight.chunks;
  place.directions = in_flight.directions;
  place.stages = static_cast<int>(cut.first.size());
  sample.stages.clear();
  for (int stage : cut.first) sample.stages.push_back(cut.stages[static_cast<std::size_t>(stage)]);
  place.stage.clear();
  sample.schedule.order.assign(classes.first.size(), {});
  for (std::size_t c = 0; c < classes.first.size(); ++c) {
    for (int chunk = 0; chunk < in_flight.chunks; ++chunk) {
      const auto slot = static_cast<std::size_t>(classes.first[c] * in_flight.chunks + chunk);
      const auto stage = static_cast<std::size_t>(in_flight.stage[slot]);
      place.stage.push_back(static_cast<std::int16_t>(cut.kind[stage]));
      plan::Task task;
      task.chunk = static_cast<std::uint8_t>(chunk);
      for (plan::Phase phase : {plan::Phase::kForward, plan::Phase::kBackward}) {
        task.phase = phase;
        sample.schedule.order[c].push_back(task);
      }
    }
  }
  place.direction.assign(place.stage.size(), 0);
}

bool IsBarrier(const Op& op) {
  const auto* collective = std::get_if<plan::Collective>(&op.kind);
  return collective && (collective->group == Group::kWorld || collective->group == Group::kModel ||
                        collective->group == Group::kPipeline);
}

bool IsTied(const Op& op) {
  const auto* collective = std::get_if<plan::Collective>(&op.kind);
  return collective && collective->group == Group::kEmbedding;
}

void AddEpilogue(const std::vector<Op>& ops, const costmodel::Costs& costs, RankClass& of) {
  bool tied = false, barrier = false;
  for (const Op& op : ops) {
    const double seconds = costs.TimeOf(op).value;
    if (IsTied(op)) {
      of.tied += seconds;
      tied = true;
    } else if (IsBarrier(op)) {
      of.barrier += seconds;
      barrier = true;
    } else {
      (barrier ? of.after : tied ? of.to_barrier : of.to_tied) += seconds;
    }
  }
}

/// `op` is priced as the one before it where it is the same: buckets are.
class SidePrices {
 public:
  explicit SidePrices(const costmodel::Costs& costs) : costs_(costs) {}
  double Of(const Op& op) {
    if (!last_ || !(last_->kind == op.kind)) seconds_ = costs_.TimeOf(op).value;
    last_ = &op;
    return seconds_;
  }

 private:
  const costmodel::Costs& costs_;
  const Op* last_ = nullptr;
  double seconds_ = 0;
};

/// `buckets`  [chunk] of its class; their seconds are added up
void AddSide(const plan::SideTask& side, const plan::Plan& sample, double seconds, RankClass& of, Buckets* buckets) {
  const auto chunk_of = [&](int task) {
    return sample.schedule.order[static_cast<std::size_t>(side.rank)][static_cast<std::size_t>(task)].chunk;
  };
  if (side.before.task != plan::Anchor::kNone) {
    // Later buckets arrive while the layers of those before compute.
    if (side.before.task >= 0 && side.before.progress == 0 && chunk_of(side.before.task) == 0) of.gather += seconds;
    return;
  }
  const auto* collective = std::get_if<plan::Collective>(&side.op.kind);
  if (side.after.task < 0 || (collective && collective->group == Group::kExpertData)) {
    of.reduce_late += seconds;
    return;
  }
  Buckets& chunk = buckets[chunk_of(side.after.task)];
  chunk.reduce += seconds;
  if (!collective || collective->group != Group::kReplica) ++chunk.count;  // its shards go with the bucket
}

}  // namespace

plan::Plan SampleOf(const BlockShape& blocks) {
  plan::Plan sample;
  for (const plan::LayerProgram& p : blocks.table.programs) {
    plan::LayerProgram buffers;
    buffers.name = p.name;
    std::copy_if(p.buffers.begin(), p.buffers.end(), std::back_inserter(buffers.buffers),
                 [](const plan::Buffer& b) { return b.kind == plan::BufferKind::kParameter; });
    buffers.parameters = p.parameters;
    buffers.expert_parameters = p.expert_parameters;
    sample.programs.push_back(std::move(buffers));
  }
  return sample;
}

StepTerms TermsOfStep(const plan::Scenario& scenario, const StageCut& cut, const InFlight& in_flight,
                      const costmodel::Costs& costs, plan::Plan& sample) {
  const Classes classes = ClassesOf(cut, in_flight);
  sample.layout = plan::LayoutOf(scenario);
  sample.side.clear();
  sample.prologue.clear();
  sample.epilogue.clear();
  PlaceClasses(cut, in_flight, classes, sample);
  plan::AddStepWork(scenario, sample);

  StepTerms terms;
  terms.barrier = sample.epilogue_barrier;
  terms.classes.reserve(classes.first.size());
  for (std::size_t c = 0; c < classes.first.size(); ++c) {
    RankClass of;
    of.first_rank = classes.first[c];
    for (const Op& op : sample.prologue[c]) of.prologue += costs.TimeOf(op).value;
    AddEpilogue(sample.epilogue[c], costs, of);
    of.state = plan::StateOf(scenario, sample, static_cast<int>(c)).Total().value;
    terms.classes.push_back(of);
  }
  const auto chunks = static_cast<std::size_t>(in_flight.chunks);
  terms.buckets.resize(classes.first.size() * chunks);
  SidePrices prices(costs);
  for (const plan::SideTask& side : sample.side) {
    const auto c = static_cast<std::size_t>(side.rank);
    AddSide(side, sample, prices.Of(side.op), terms.classes[c], terms.buckets.data() + c * chunks);
  }
  for (Buckets& chunk : terms.buckets) {
    if (chunk.count > 0) chunk.reduce /= chunk.count;
  }
  terms.class_of.assign(classes.of.begin(), classes.of.end());
  for (int c : classes.of) ++terms.classes[static_cast<std::size_t>(c)].ranks;
  return terms;
}

}  // namespace isochrone::study
