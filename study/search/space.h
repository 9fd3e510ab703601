#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "plan/scenario.h"

namespace isochrone::study {

/// When a value of an axis matters: blocks are priced anew (kBlock), only the pipeline is (kPipeline), or only what
/// surrounds it (kStep). Axes are walked in this order.
enum class Level : std::uint8_t { kBlock, kPipeline, kStep };

/// One strategy key (or the microbatch) that a sweep varies.
struct Axis {
  std::string key;
  Level level = Level::kBlock;
  std::vector<std::string> values;  // as they are shown
  std::function<void(std::size_t value, plan::Scenario& scenario)> set;
};

/// What study/search/objective.h makes of a step time.
enum class Objective : std::uint8_t {
  kStepTime,
  kTokensPerSecond,
  kTokensPerGpu,
  kMfu,
  kCostPerToken,
  kGpuHours,
  kDays
};
const std::vector<std::string>& ObjectiveNames();

struct Constraints {
  bool fits = true;                // in the GPU's memory
  bool idle_gpus = false;          // layouts may leave GPUs without a rank
  bool round_batch_down = false;   // a batch that a layout does not divide loses its remainder
  bool tensor_within_node = true;  // what "search" gives for tensor
  bool tensor_fills_node = false;  // before there is a pipeline
  bool even_pipeline = false;      // as Megatron-LM of 2021 cut and interleaved: see docs/sweeps.md
  int most_gpus = 0;               // 0: those of the cluster
  double memory_bytes = 0;         // 0: what the GPU has
};

/// A sweep file: the scenarios that its lists over model, cluster and batch make ("bases"), and for each the axes of
/// its strategy. docs/sweeps.md has the form.
struct Space {
  std::string file, question;
  std::vector<plan::Scenario> bases;
  std::vector<std::string> base_keys;                 // "/cluster/nodes", …
  std::vector<std::vector<std::string>> base_values;  // [base][key]
  std::vector<std::optional<plan::Scenario>> chosen;  // [base] the scenario that it starts from, with its own choices
  std::vector<std::vector<Axis>> axes;                // [base], in the order in which they are walked
  bool scaled = false;                                // the nodes come from "scaling"
  bool data_follows = true;                           // data is what the GPUs leave, not an axis and not given
  Constraints constraints;
  Objective objective = Objective::kStepTime;
  int best = 10;
  double tokens = 0;                 // of the whole training; 0: not given
  std::vector<double> gpu_hour_usd;  // [base] price of a GPU for an hour; 0: not given
  std::string digest;                // of the file's content: results of another sweep are not continued
};

/// Throws Error.
Space ReadSpace(const std::string& path);

/// The same with one value in place of the list at `pointer`, "/batch/sequences". Requires a list there.
Space ReadSpaceAt(const std::string& path, const std::string& pointer, double value);

/// The space of one base alone.
Space OnlyBase(const Space& space, std::size_t base);

/// Keys of Level::kPipeline that change its messages only. Their axes come last of that level.
bool ChangesMessages(const std::string& key);

/// Combinations of one base's axes, legal or not.
std::int64_t SizeOf(const std::vector<Axis>& axes);

/// Sets `axes` from `first` up to `end` to the values of one of their combinations. The last changes fastest.
void SetAxes(const std::vector<Axis>& axes, std::size_t first, std::size_t end, std::int64_t combination,
             plan::Scenario& scenario);

/// Which base a combination belongs to.
std::size_t BaseOf(const Space& space, std::int64_t index);
/// The same; leaves in `index` its number among that base's combinations.
std::size_t TakeBaseOf(const Space& space, std::int64_t& index);

/// The scenario of one combination; `index` counts over all bases. Its last axis changes fastest.
plan::Scenario ScenarioAt(const Space& space, std::int64_t index);

/// Sets what follows from the other degrees: data, and the batch where it is rounded. False where no whole number does.
bool Complete(const Space& space, plan::Scenario& scenario);

}  // namespace isochrone::study
