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
  for (Phase phase : {Phase::kForward, Phase::kRecompute, Phase::kBackward}) {
    const costmodel::PassPrice& pass = price[0].pass[static_cast<std::size_t>(phase)];
    terms.compute += pass.compute;
    terms.exposed += pass.total - pass.compute;
  }
  return terms;
}

bool HoldSame(const plan::StageContent& a, const plan::StageContent& b) {
  return std::equal(
      a.sections.begin(), a.sections.end(), b.sections.begin(), b.sections.end(),
      [](const plan::Section& x, const plan::Section& y) { return x.program == y.program && x.count == y.count; });
}

}  // namespace

BlockShape ShapeOfBlocks(const plan::Scenario& scenario) {
  BlockShape shape;
  shape.table = plan::BuildPrograms(scenario);
  const auto flops = [&](int program) {
    return shape.table.programs[static_cast<std::size_t>(program)].model_flops.value;
  };
  shape.model_flops = flops(shape.table.embedding) + flops(shape.table.head);
  for (const auto& programs : shape.table.layer) shape.model_flops += flops(programs[0]);
  for (int program : shape.table.multi_token) shape.model_flops += flops(program);
  for (const plan::LayerProgram& program : shape.table.programs) {
    shape.bytes.push_back(plan::BytesOf(program));
    AddGroups(program, shape.groups);
  }
  return shape;
}

std::vector<LayerTerms> PriceBlocks(const BlockShape& shape, const costmodel::Costs& costs) {
  std::vector<LayerTerms> terms;
  for (const plan::LayerProgram& program : shape.table.programs) terms.push_back(TermsOf(program, costs));
  return terms;
}

StageCut CutOf(const plan::Scenario& scenario, const plan::ProgramTable& table) {
  StageCut cut;
  cut.stages = plan::LayOut(table, plan::LayersPerStage(scenario));
  for (std::size_t s = 0; s < cut.stages.size(); ++s) {
    const auto same = [&](int other) { return HoldSame(cut.stages[static_cast<std::size_t>(other)], cut.stages[s]); };
    const auto it = std::find_if(cut.first.begin(), cut.first.end(), same);
    cut.kind.push_back(static_cast<int>(it - cut.first.begin()));
    if (it == cut.first.end()) cut.first.push_back(static_cast<int>(s));
  }
  return cut;
}

}  // namespace isochrone::study
