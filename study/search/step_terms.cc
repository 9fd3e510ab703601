#include "study/search/step_terms.h"

#include <algorithm>

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

/// A plan with one rank of each class, its stages, and one forward and backward pass of each chunk: enough for
/// AddStepWork and MemoryOf, which look at nothing else.
plan::Plan Sample(const plan::Scenario& scenario, const BlockShape& blocks, const StageCut& cut,
                  const InFlight& in_flight, const Classes& classes) {
  plan::Plan sample;
  sample.layout = plan::LayoutOf(scenario);
  for (const plan::LayerProgram& p : blocks.table.programs) {
    plan::LayerProgram buffers;
    buffers.name = p.name;
    buffers.buffers = p.buffers;
    buffers.parameters = p.parameters;
    buffers.expert_parameters = p.expert_parameters;
    sample.programs.push_back(std::move(buffers));
  }
  plan::Placement& place = sample.schedule.placement;
  place.ranks = static_cast<int>(classes.first.size());
  place.chunks = in_flight.chunks;
  place.directions = in_flight.directions;
  for (int rank : classes.first) {
    sample.schedule.order.emplace_back();
    for (int chunk = 0; chunk < in_flight.chunks; ++chunk) {
      const auto slot = static_cast<std::size_t>(rank * in_flight.chunks + chunk);
      place.stage.push_back(static_cast<std::int16_t>(sample.stages.size()));
      place.direction.push_back(0);
      sample.stages.push_back(cut.stages[static_cast<std::size_t>(in_flight.stage[slot])]);
      plan::Task task;
      task.chunk = static_cast<std::uint8_t>(chunk);
      for (plan::Phase phase : {plan::Phase::kForward, plan::Phase::kBackward}) {
        task.phase = phase;
        sample.schedule.order.back().push_back(task);
      }
    }
  }
  place.stages = static_cast<int>(sample.stages.size());
  return sample;
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

void AddSide(const plan::SideTask& side, const plan::Plan& sample, const costmodel::Costs& costs, RankClass& of) {
  const double seconds = costs.TimeOf(side.op).value;
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
  const std::size_t chunk = chunk_of(side.after.task);
  of.reduce[chunk] = seconds;
  ++of.buckets[chunk];
}

}  // namespace

StepTerms TermsOfStep(const plan::Scenario& scenario, const BlockShape& blocks, const StageCut& cut,
                      const InFlight& in_flight, const costmodel::Costs& costs) {
  const Classes classes = ClassesOf(cut, in_flight);
  plan::Plan sample = Sample(scenario, blocks, cut, in_flight, classes);
  plan::AddStepWork(scenario, sample);

  StepTerms terms;
  for (std::size_t c = 0; c < classes.first.size(); ++c) {
    RankClass of;
    of.first_rank = classes.first[c];
    of.reduce.assign(static_cast<std::size_t>(in_flight.chunks), 0);
    of.buckets.assign(static_cast<std::size_t>(in_flight.chunks), 0);
    for (const Op& op : sample.prologue[c]) of.prologue += costs.TimeOf(op).value;
    AddEpilogue(sample.epilogue[c], costs, of);
    terms.classes.push_back(std::move(of));
  }
  for (const plan::SideTask& side : sample.side)
    AddSide(side, sample, costs, terms.classes[static_cast<std::size_t>(side.rank)]);

  for (auto& order : sample.schedule.order) order.clear();  // state alone: no activations, no messages
  const std::vector<plan::StageMemory> memory = plan::MemoryOf(scenario, sample);
  for (std::size_t c = 0; c < memory.size(); ++c) terms.classes[c].state = memory[c].Total().value;
  for (int c : classes.of) {
    RankClass& of = terms.classes[static_cast<std::size_t>(c)];
    ++of.ranks;
    terms.state.push_back(of.state);
  }
  return terms;
}

}  // namespace isochrone::study
