#include "study/search/block_terms.h"

#include <algorithm>

#include "plan/stages.h"
#include "study/pricing.h"

namespace isochrone::study {
namespace {

using plan::Phase;

void AddGroups(const plan::LayerProgram& program, std::vector<plan::Group>& groups) {
  for (const auto& ops : program.ops) {
    for (const plan::Op& op : ops) {
      const auto* collective = std::get_if<plan::Collective>(&op.kind);
      if (collective && std::find(groups.begin(), groups.end(), collective->group) == groups.end())
        groups.push_back(collective->group);
    }
  }
}

LayerTerms TermsOf(const plan::LayerProgram& program, const costmodel::Costs& costs) {
  const std::vector<ProgramPrice> price = {PriceOf(program, costs)};
  const plan::StageContent alone{{{0, 1, 0}}};
  LayerTerms terms;
  terms.forward = StageSeconds(price, alone, Phase::kForward);
  terms.backward = StageSeconds(price, alone, Phase::kBackward);
  terms.input = StageSeconds(price, alone, Phase::kBackwardInput);
  terms.weight = StageSeconds(price, alone, Phase::kBackwardWeight);
  const auto add = [&](Phase phase, double& compute, double& exposed) {
    const costmodel::PassPrice& pass = price[0].pass[static_cast<std::size_t>(phase)];
    compute += pass.compute;
    exposed += pass.total - pass.compute;
  };
  add(Phase::kForward, terms.forward_compute, terms.forward_exposed);
  add(Phase::kRecompute, terms.backward_compute, terms.backward_exposed);
  add(Phase::kBackward, terms.backward_compute, terms.backward_exposed);
  return terms;
}

double ComputeOf(const std::vector<plan::Op>& ops, const costmodel::Costs& costs) {
  double seconds = 0;
  for (const plan::Op& op : ops) {
    if (op.stream == plan::Stream::kCompute) seconds += costs.TimeOf(op).value;
  }
  return seconds;
}

double ComputeOf(const plan::LayerProgram& program, const costmodel::Costs& costs) {
  const auto of = [&](Phase phase) { return ComputeOf(program.Ops(phase), costs); };
  const double halves = of(Phase::kBackwardInput) + of(Phase::kBackwardWeight);
  return of(Phase::kForward) + of(Phase::kRecompute) + std::min(of(Phase::kBackward), halves);
}

/// Adds `value` of the program of every layer, of embedding and head.
template <class Value>
double OfAllLayers(const plan::ProgramTable& table, const Value& value) {
  double sum = value(table.embedding) + value(table.head);
  for (const auto& programs : table.layer) sum += std::min(value(programs[0]), value(programs[1]));
  for (int program : table.multi_token) sum += value(program);
  return sum;
}

bool HoldSame(const plan::StageContent& a, const plan::StageContent& b) {
  return std::equal(
      a.sections.begin(), a.sections.end(), b.sections.begin(), b.sections.end(),
      [](const plan::Section& x, const plan::Section& y) { return x.program == y.program && x.count == y.count; });
}

}  // namespace

BlockShape ShapeOfBlocks(const plan::Scenario& scenario) {
  BlockShape shape;
  shape.holding = plan::HoldingOf(scenario);
  shape.table = plan::BuildPrograms(scenario);
  const auto& programs = shape.table.programs;
  const auto flops = [&](int p) { return programs[static_cast<std::size_t>(p)].model_flops.value; };
  const auto parameters = [&](int p) {
    return programs[static_cast<std::size_t>(p)].parameters + programs[static_cast<std::size_t>(p)].expert_parameters;
  };
  shape.model_flops = OfAllLayers(shape.table, flops);
  shape.parameters = OfAllLayers(shape.table, parameters);
  for (const plan::LayerProgram& program : shape.table.programs) {
    shape.bytes.push_back(plan::BytesOf(program, shape.holding));
    AddGroups(program, shape.groups);
  }
  return shape;
}

std::vector<LayerTerms> PriceBlocks(const BlockShape& shape, const costmodel::Costs& costs) {
  std::vector<LayerTerms> terms;
  for (const plan::LayerProgram& program : shape.table.programs) terms.push_back(TermsOf(program, costs));
  return terms;
}

double LeastCompute(const BlockShape& shape, const costmodel::Costs& costs) {
  std::vector<double> seconds;
  for (const plan::LayerProgram& program : shape.table.programs) seconds.push_back(ComputeOf(program, costs));
  return OfAllLayers(shape.table, [&](int program) { return seconds[static_cast<std::size_t>(program)]; });
}

double LeastWork(const BlockShape& shape, const std::vector<LayerTerms>& prices) {
  return OfAllLayers(shape.table, [&](int program) {
    const LayerTerms& t = prices[static_cast<std::size_t>(program)];
    return std::min({t.forward + t.backward, t.forward + t.input + t.weight, t.forward_compute + t.backward_compute});
  });
}

StageCut CutOf(const plan::Scenario& scenario, const plan::ProgramTable& table) {
  StageCut cut;
  cut.stages = plan::LayOut(table, plan::LayersPerStage(scenario));
  for (std::size_t s = 0; s < cut.stages.size(); ++s) {
    const auto same = [&](int other) { return HoldSame(cut.stages[static_cast<std::size_t>(other)], cut.stages[s]); };
    const auto it = std::find_if(cut.first.begin(), cut.first.end(), same);
    cut.kind.push_back(static_cast<int>(it - cut.first.begin()));
    if (it != cut.first.end()) continue;
    cut.first.push_back(static_cast<int>(s));
    cut.layers.push_back(0);
    cut.heads.push_back(0);
    for (const plan::Section& section : cut.stages[s].sections) {
      if (section.program == table.embedding) continue;
      (section.program == table.head ? cut.heads : cut.layers).back() += section.count;
    }
  }
  return cut;
}

}  // namespace isochrone::study
