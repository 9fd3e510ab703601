#pragma once

#include <array>
#include <vector>

#include "costmodel/costs.h"
#include "costmodel/pass_price.h"
#include "plan/plan.h"
#include "sim/event.h"

namespace isochrone::study {

/// One layer program with a price on every op and pass.
struct ProgramPrice {
  std::array<std::vector<double>, plan::kPhases> op_seconds, late;  // alone; costmodel::Contention
  std::array<costmodel::PassPrice, plan::kPhases> pass;
};

/// The prices of a plan: per program (few), and per slot, message and step op as the engine takes them.
struct Pricing {
  std::vector<ProgramPrice> programs;
  sim::StepCosts step;
};

/// What the compute stream does of one microbatch, forward, recomputing and back, alone on the GPU. Seconds.
struct ComputeAlone {
  double all = 0, products = 0, late = 0;  // the last two: of products, and what late blocks of them take

  void Add(double times, const ComputeAlone& other) {
    all += times * other.all;
    products += times * other.products;
    late += times * other.late;
  }
};
ComputeAlone ComputeAloneOf(const plan::LayerProgram& program, const ProgramPrice& price);

/// Of passes, and of the gradients and parameters that are reduced and gathered beside them.
costmodel::Slowdowns BesideData(const costmodel::Contention& contention, const ComputeAlone& compute);

/// Prices every op and pass of one program.
ProgramPrice PriceOf(const plan::LayerProgram& program, const costmodel::Costs& costs);

/// Prices every program once and sums them over the sections of each slot.
Pricing PriceOf(const plan::Plan& plan, const costmodel::Costs& costs);

/// Mean prices of a stage, and the share of its activations that the weight half of a backward pass keeps, for
/// schedules that look at them when they order tasks.
plan::StageCosts MeanStageCosts(const std::vector<plan::LayerProgram>& programs,
                                const std::vector<plan::StageContent>& stages, const costmodel::Costs& costs,
                                Seconds message);

/// Seconds of one phase of one stage; a backward phase holds its recomputation.
double StageSeconds(const std::vector<ProgramPrice>& programs, const plan::StageContent& stage, plan::Phase phase);

}  // namespace isochrone::study
