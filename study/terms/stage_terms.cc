#include "study/terms/stage_terms.h"

#include <algorithm>

#include "plan/memory.h"

namespace isochrone::study {
namespace {

void AddUpStage(const plan::Strategy& strategy, const BlockShape& blocks, std::span<const LayerTerms> prices,
                const plan::StageContent& stage, std::size_t k, StageTerms& into) {
  for (const plan::Section& section : stage.sections) {
    const LayerTerms& t = prices[static_cast<std::size_t>(section.program)];
    into.forward[k] += section.count * t.forward;
    into.backward[k] += section.count * t.backward;
    into.input[k] += section.count * t.input;
    into.weight[k] += section.count * t.weight;
    into.forward_compute[k] += section.count * t.forward_compute;
    into.forward_exposed[k] += section.count * t.forward_exposed;
    into.backward_compute[k] += section.count * t.backward_compute;
    into.backward_exposed[k] += section.count * t.backward_exposed;
    const plan::LayerProgram& program = blocks.table.programs[static_cast<std::size_t>(section.program)];
    into.parameters[k] += section.count * (program.parameters + program.expert_parameters);
  }
  const plan::StageBytes bytes = plan::BytesOf(strategy, blocks.bytes, stage, blocks.holding);
  const Bytes held[kHolds] = {bytes.kept, bytes.kept_for_weight, bytes.forward_workspace, bytes.backward_workspace,
                              bytes.backward_input_workspace};
  const std::size_t kinds = into.forward.size();
  for (std::size_t hold = 0; hold < kHolds; ++hold) into.held[hold * kinds + k] = held[hold].value;
}

}  // namespace

void AddUpStages(const plan::Strategy& strategy, const BlockShape& blocks, std::span<const LayerTerms> prices,
                 double batch, const StageCut& cut, StageTerms& into) {
  const std::size_t kinds = cut.first.size();
  std::vector<double>* const all[] = {&into.forward,          &into.backward,         &into.input,
                                      &into.weight,           &into.forward_compute,  &into.forward_exposed,
                                      &into.backward_compute, &into.backward_exposed, &into.parameters};
  for (auto* terms : all) terms->assign(kinds, 0.0);
  into.held.resize(kHolds * kinds);
  for (std::size_t k = 0; k < kinds; ++k)
    AddUpStage(strategy, blocks, prices, cut.stages[static_cast<std::size_t>(cut.first[k])], k, into);
  for (auto* forward : {&into.forward, &into.forward_compute}) {
    for (double& seconds : *forward) seconds += batch;
  }
  into.cut = &cut;
  const auto ranks = static_cast<std::size_t>(strategy.pipeline);
  into.forward_before.assign(ranks, 0.0);
  into.backward_before.assign(ranks, 0.0);
  for (std::size_t r = 1; r < ranks; ++r) {
    const auto before = static_cast<std::size_t>(cut.kind[r - 1]);
    into.forward_before[r] = into.forward_before[r - 1] + into.forward[before];
    into.backward_before[r] = into.backward_before[r - 1] + into.backward[before];
  }
}

void ActivationBytes(const Held& held, const StageTerms& stages, double messages, std::span<double> bytes) {
  MostHeld(held, stages.held, bytes);
  for (double& of_rank : bytes) of_rank += messages;
}

}  // namespace isochrone::study
