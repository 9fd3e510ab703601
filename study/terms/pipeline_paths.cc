#include "study/terms/pipeline_paths.h"

namespace isochrone::study {
namespace {

/// Times of one layer, in forward passes of it.
struct Ratio {
  double input, weight, head, message;
};

constexpr Ratio kRatios[] = {{1.2, 0.8, 0.5, 0.05}, {1.2, 0.8, 2.0, 0.33},  {2.2, 0.8, 0.5, 0.05},
                             {2.2, 0.8, 2.0, 0.33}, {1.15, 0.45, 1.0, 0.1}, {1.6, 0.95, 1.0, 0.1}};
constexpr double kExposed = 0.15;  // of a pass: what an overlapped pair hides

/// Arrays behind StageTimes, [kind].
struct Probe {
  std::vector<double> forward, input, weight, backward, forward_compute, forward_exposed, backward_compute,
      backward_exposed;

  Probe(const PathsKey& key, const Ratio& ratio) {
    for (std::size_t kind = 0; kind < key.layers.size(); ++kind) {
      const double size = key.layers[kind] + ratio.head * key.heads[kind];
      forward.push_back(size);
      input.push_back(ratio.input * size);
      weight.push_back(ratio.weight * size);
      backward.push_back(input.back() + weight.back());
      forward_compute.push_back((1 - kExposed) * size);
      forward_exposed.push_back(kExposed * size);
      backward_compute.push_back((1 - kExposed) * backward.back());
      backward_exposed.push_back(kExposed * backward.back());
    }
  }
  sim::StageTimes Times(const Ratio& ratio, const PathsKey& key, const std::vector<int>& stages) const {
    return {forward,
            input,
            weight,
            backward,
            ratio.message,
            key.mode,
            {forward_compute, forward_exposed, backward_compute, backward_exposed},
            key.kind,
            stages};
  }
};

}  // namespace

PathsKey KeyOfPaths(const plan::ScheduleShape& shape, const StageCut& cut, plan::MessageMode mode) {
  const plan::ScheduleShape core = sim::OrderPaths::Core(shape);
  return {
      {static_cast<int>(core.kind), core.ranks, core.chunks, core.microbatches}, mode, cut.kind, cut.layers, cut.heads};
}

sim::OrderGraph OrderOf(const std::array<int, 4>& core) {
  const auto kind = static_cast<plan::ScheduleKind>(core[0]);
  return sim::OrderGraph(plan::BuildSchedule({kind, core[1], core[2], core[3]}));
}

sim::OrderPaths PathsOf(const PathsKey& key, const sim::OrderGraph& order) {
  std::vector<Probe> arrays;
  for (const Ratio& ratio : kRatios) arrays.emplace_back(key, ratio);
  std::vector<int> stages(key.layers.size(), 0);  // [kind]
  for (const int kind : key.kind) ++stages[kind];
  std::vector<sim::StageTimes> probes;
  for (std::size_t i = 0; i < arrays.size(); ++i) probes.push_back(arrays[i].Times(kRatios[i], key, stages));
  return {order, key.kind, probes};
}

}  // namespace isochrone::study
