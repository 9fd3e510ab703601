#include "study/terms/block_terms.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "plan/stages.h"

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
  terms.alone = ComputeAloneOf(program, price[0]);
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
double OfAllLayers(const plan::ProgramTable& table, bool several_stages, const Value& value) {
  double sum = value(table.embedding) + value(several_stages ? table.head : table.lone_head);
  for (const auto& programs : table.layer) sum += std::min(value(programs[0]), value(programs[1]));
  for (int program : table.multi_token) sum += value(program);
  return sum;
}

bool HoldSame(const plan::StageContent& a, const plan::StageContent& b) {
  return std::equal(
      a.sections.begin(), a.sections.end(), b.sections.begin(), b.sections.end(),
      [](const plan::Section& x, const plan::Section& y) { return x.program == y.program && x.count == y.count; });
}

/// Whether a stage has all layers that another one has.
bool Holds(const plan::StageContent& stage, const plan::StageContent& other) {
  const auto count = [](const plan::StageContent& of, int program) {
    int n = 0;
    for (const plan::Section& section : of.sections) n += section.program == program ? section.count : 0;
    return n;
  };
  return std::all_of(other.sections.begin(), other.sections.end(), [&](const plan::Section& section) {
    return count(stage, section.program) >= count(other, section.program);
  });
}

/// StageCut::above; kinds with most stages choose first.
std::vector<int> ChainsOf(const StageCut& cut) {
  std::vector<int> above(cut.first.size(), -1);
  const auto stage = [&](int kind) -> const plan::StageContent& {
    return cut.stages[static_cast<std::size_t>(cut.first[static_cast<std::size_t>(kind)])];
  };
  std::vector<int> kinds(above.size());
  std::iota(kinds.begin(), kinds.end(), 0);
  const auto stages = [&](int kind) { return cut.count[static_cast<std::size_t>(kind)]; };
  std::stable_sort(kinds.begin(), kinds.end(), [&](int a, int b) { return stages(a) > stages(b); });
  for (const int kind : kinds) {
    int& best = above[static_cast<std::size_t>(kind)];
    for (const int other : kinds) {
      const bool free = std::find(above.begin(), above.end(), other) == above.end();
      if (other == kind || !free || !Holds(stage(kind), stage(other))) continue;
      if (best < 0 || Holds(stage(other), stage(best))) best = other;
    }
  }
  return above;
}

}  // namespace

BlockShape ShapeOfBlocks(const plan::Scenario& scenario, plan::ProgramTable bare) {
  BlockShape shape;
  shape.holding = plan::HoldingOf(scenario);
  shape.table = std::move(bare);
  plan::AddStateTraffic(scenario, shape.table);
  const auto& programs = shape.table.programs;
  const auto flops = [&](int p) { return programs[static_cast<std::size_t>(p)].model_flops.value; };
  const auto parameters = [&](int p) {
    return programs[static_cast<std::size_t>(p)].parameters + programs[static_cast<std::size_t>(p)].expert_parameters;
  };
  for (const bool several : {false, true}) {
    shape.model_flops[several] = OfAllLayers(shape.table, several, flops);
    shape.parameters[several] = OfAllLayers(shape.table, several, parameters);
  }
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

ComputeAlone ComputeAloneOf(const BlockShape& shape, const std::vector<LayerTerms>& prices) {
  ComputeAlone compute;
  for (const auto& programs : shape.table.layer) compute.Add(1, prices[static_cast<std::size_t>(programs[0])].alone);
  return compute;
}

double LeastCompute(const BlockShape& shape, const costmodel::Costs& costs, bool several_stages) {
  std::vector<double> seconds;
  for (const plan::LayerProgram& program : shape.table.programs) seconds.push_back(ComputeOf(program, costs));
  return OfAllLayers(shape.table, several_stages,
                     [&](int program) { return seconds[static_cast<std::size_t>(program)]; });
}

double LeastWork(const BlockShape& shape, const std::vector<LayerTerms>& prices, bool several_stages) {
  return OfAllLayers(shape.table, several_stages, [&](int program) {
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
    if (it != cut.first.end()) {
      ++cut.count[static_cast<std::size_t>(cut.kind.back())];
      continue;
    }
    cut.first.push_back(static_cast<int>(s));
    cut.count.push_back(1);
    cut.layers.push_back(0);
    cut.heads.push_back(0);
    for (const plan::Section& section : cut.stages[s].sections) {
      if (section.program == table.embedding) continue;
      const bool head = section.program == table.head || section.program == table.lone_head;
      (head ? cut.heads : cut.layers).back() += section.count;
    }
  }
  cut.above = ChainsOf(cut);
  return cut;
}

}  // namespace isochrone::study
