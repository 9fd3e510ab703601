#pragma once

#include <array>
#include <vector>

#include "costmodel/costs.h"
#include "plan/build.h"
#include "plan/memory.h"
#include "plan/scenario.h"
#include "study/pricing.h"

namespace isochrone::study {

/// What one layer costs on one rank, for one microbatch. Seconds as plain numbers: this is what millions of
/// configurations are added up from.
struct LayerTerms {
  double forward = 0, backward = 0;  // backward passes hold their recomputation
  double input = 0, weight = 0;      // the backward pass in two halves, where a schedule splits it
  // Of the forward and of the whole backward pass, what an overlapped pair of them is made of: compute, and what does
  // not hide in it.
  double forward_compute = 0, forward_exposed = 0, backward_compute = 0, backward_exposed = 0;
  ComputeAlone alone;
};

/// A model cut for one block signature: everything that does not depend on where the stages are cut, or, [0] for one
/// stage and [1] for several, only on whether there are several.
struct BlockShape {
  plan::ProgramTable table;
  std::vector<plan::LayerBytes> bytes;  // [program]
  plan::Holding holding = plan::Holding::kFramework;
  std::array<double, 2> model_flops{};  // of one microbatch on one rank, all layers
  std::array<double, 2> parameters{};   // on the ranks of one pipeline together
  std::vector<plan::Group> groups;      // that its ops speak over: prices depend on their shapes only
};

/// `scenario` decides by its tensor, context and expert degrees, microbatch, recomputation and number formats and,
/// where passes move sharded or offloaded state, by how. Throws Error.
///
/// bare  plan::BuildBarePrograms(scenario), in which the sharding of state makes no difference
BlockShape ShapeOfBlocks(const plan::Scenario& scenario, plan::ProgramTable bare);

/// Prices of the layers, [program].
std::vector<LayerTerms> PriceBlocks(const BlockShape& shape, const costmodel::Costs& costs);

/// Of all layers.
ComputeAlone ComputeAloneOf(const BlockShape& shape, const std::vector<LayerTerms>& prices);

/// Seconds of the compute stream alone, of one microbatch through all layers: what no layout goes below.
double LeastCompute(const BlockShape& shape, const costmodel::Costs& costs, bool several_stages);

/// Least seconds of one microbatch through all layers at these prices, whatever the schedule makes of its passes.
double LeastWork(const BlockShape& shape, const std::vector<LayerTerms>& prices, bool several_stages);

/// A model's layers on the virtual stages of one cut, and which stages hold the same.
struct StageCut {
  std::vector<plan::StageContent> stages;  // [virtual stage]
  std::vector<int> kind;                   // [virtual stage]
  std::vector<int> first, count;           // [kind] the first stage of it, and how many there are
  std::vector<double> layers, heads;       // [kind] how many it has
  /// [kind] another kind whose layers it all has and more, which no other kind names: chains from what holds most to
  /// what holds least. −1: none.
  std::vector<int> above;
};
StageCut CutOf(const plan::Scenario& scenario, const plan::ProgramTable& table);

}  // namespace isochrone::study
