// The combinations of a sweep: what follows from the others, and the scenario of an index.
#include "study/search/space.h"

#include "base/error.h"

namespace isochrone::study {

const std::vector<std::string>& ObjectiveNames() {
  static const std::vector<std::string> names = {
      "step_time", "tokens_per_s", "tokens_per_s_per_gpu", "mfu", "cost_per_token", "gpu_hours", "days"};
  return names;
}

bool ChangesMessages(const std::string& key) { return key == "overlap_pipeline" || key == "scatter_gather"; }

std::int64_t SizeOf(const std::vector<Axis>& axes) {
  std::int64_t size = 1;
  for (const Axis& axis : axes) size *= static_cast<std::int64_t>(axis.values.size());
  return size;
}

Space OnlyBase(const Space& space, std::size_t base) {
  Space one = space;
  one.bases = {space.bases[base]};
  one.base_values = {space.base_values[base]};
  one.chosen = {space.chosen[base]};
  one.axes = {space.axes[base]};
  one.gpu_hour_usd = {space.gpu_hour_usd[base]};
  return one;
}

bool Complete(const Space& space, plan::Scenario& scenario) {
  plan::Strategy& s = scenario.strategy;
  if (space.data_follows) {
    const std::int64_t others = std::int64_t{1} * s.tensor * s.context * s.pipeline, gpus = scenario.cluster.Gpus();
    if (others > gpus || (!space.constraints.idle_gpus && gpus % others != 0)) return false;
    s.data = static_cast<int>(gpus / others);
  }
  if (space.constraints.round_batch_down) {
    const std::int64_t share = scenario.batch.microbatch * s.data;
    scenario.batch.sequences = scenario.batch.sequences / share * share;
  }
  return true;
}

void SetAxes(const std::vector<Axis>& axes, std::size_t first, std::size_t end, std::int64_t combination,
             plan::Scenario& scenario) {
  for (std::size_t a = end; a-- > first;) {
    const auto n = static_cast<std::int64_t>(axes[a].values.size());
    axes[a].set(static_cast<std::size_t>(combination % n), scenario);
    combination /= n;
  }
}

std::size_t TakeBaseOf(const Space& space, std::int64_t& index) {
  std::size_t base = 0;
  while (index >= SizeOf(space.axes[base])) index -= SizeOf(space.axes[base++]);
  return base;
}

std::size_t BaseOf(const Space& space, std::int64_t index) { return TakeBaseOf(space, index); }

plan::Scenario ScenarioAt(const Space& space, std::int64_t index) {
  const std::size_t base = TakeBaseOf(space, index);
  plan::Scenario scenario = space.bases[base];
  SetAxes(space.axes[base], 0, space.axes[base].size(), index, scenario);
  ISO_CHECK(Complete(space, scenario));
  return scenario;
}

}  // namespace isochrone::study
