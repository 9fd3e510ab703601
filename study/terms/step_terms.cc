#include "study/terms/step_terms.h"

#include <algorithm>
#include <iterator>

#include "base/error.h"
#include "plan/memory.h"
#include "plan/state_memory.h"
#include "plan/step_program.h"

namespace isochrone::study {
namespace {

using plan::Group;
using plan::Op;

/// The first ranks of rows that have the same in all chunks.
std::vector<int> RowsOf(const StageCut& cut, const InFlight& in_flight) {
  const auto kind = [&](int rank, int chunk) {
    const auto stage =
        static_cast<std::size_t>(in_flight.stage[static_cast<std::size_t>(rank * in_flight.chunks + chunk)]);
    return cut.kind[stage];
  };
  const auto as_before = [&](int rank) {
    for (int chunk = 0; chunk < in_flight.chunks; ++chunk) {
      if (kind(rank, chunk) != kind(rank - 1, chunk)) return false;
    }
    return true;
  };
  std::vector<int> rows;
  for (int rank = 0; rank < in_flight.ranks; ++rank) {
    if (rank == 0 || !as_before(rank)) rows.push_back(rank);
  }
  return rows;
}

/// Puts these ranks on `sample`, without tasks: StepWorkOf and StateOf look at nothing else.
void Place(const std::vector<int>& ranks, const StageCut& cut, const InFlight& in_flight, plan::Plan& sample) {
  plan::Placement& place = sample.schedule.placement;
  place.ranks = static_cast<int>(ranks.size());
  place.chunks = in_flight.chunks;
  place.directions = in_flight.directions;
  place.stages = static_cast<int>(cut.first.size());
  sample.stages.clear();
  for (int stage : cut.first) sample.stages.push_back(cut.stages[static_cast<std::size_t>(stage)]);
  place.stage.clear();
  for (const int rank : ranks) {
    for (int chunk = 0; chunk < in_flight.chunks; ++chunk) {
      const auto stage = in_flight.stage[static_cast<std::size_t>(rank * in_flight.chunks + chunk)];
      place.stage.push_back(static_cast<std::int16_t>(cut.kind[static_cast<std::size_t>(stage)]));
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

/// `seconds`  of each task of the run
/// `buckets`  [chunk] of its class
void AddSide(const plan::SideRun& run, double seconds, RankClass& of, Buckets* buckets) {
  if (run.gathers) {  // later buckets arrive while the layers of those before compute (around.cc)
    if (run.chunk == 0) {
      of.gather += seconds;
      of.gather_count = run.count;
    }
    of.gathers += run.count * seconds;
    return;
  }
  const auto* collective = std::get_if<plan::Collective>(&run.op.kind);
  if (collective && collective->group == Group::kExpertData) {
    of.reduce_late += run.count * seconds;
    return;
  }
  buckets[run.chunk].count = run.count;
  buckets[run.chunk].reduce += seconds;  // with the shards of the bucket over its copies, which are a run of their own
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
  const std::vector<int> rows = RowsOf(cut, in_flight);
  sample.layout = plan::LayoutOf(scenario);
  Place(rows, cut, in_flight, sample);
  const std::vector<plan::RankStep> steps = plan::StepWorkOf(scenario, sample);

  StepTerms terms;
  terms.barrier = plan::HasBarrier(scenario.strategy);
  terms.ranks = in_flight.ranks;
  terms.chunks = in_flight.chunks;
  for (const std::int16_t kind : sample.schedule.placement.stage) terms.buckets.push_back({kind, 0, 0});
  terms.classes.resize(steps.size());
  for (std::size_t c = 0; c < steps.size(); ++c) {
    RankClass& of = terms.classes[c];
    of.first_rank = rows[c];
    of.ranks = (c + 1 < rows.size() ? rows[c + 1] : in_flight.ranks) - rows[c];
    of.state = plan::StateOf(scenario, sample, static_cast<int>(c)).Total().value;
    for (const Op& op : steps[c].prologue) of.prologue += costs.TimeOf(op).value;
    AddEpilogue(steps[c].epilogue, costs, of);
    Buckets* const buckets = terms.buckets.data() + c * static_cast<std::size_t>(terms.chunks);
    for (const plan::SideRun& run : steps[c].side) AddSide(run, costs.TimeOf(run.op).value, of, buckets);
  }
  const auto reduces = [](const plan::SideRun& run) { return !run.gathers; };
  for (const plan::RankStep& step : steps)
    terms.beside = terms.beside || std::any_of(step.side.begin(), step.side.end(), reduces);
  return terms;
}

}  // namespace isochrone::study
