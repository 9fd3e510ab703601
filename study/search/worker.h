#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <vector>

#include "study/search/candidate.h"
#include "study/search/legal.h"
#include "study/search/space.h"
#include "study/search/walk.h"
#include "study/search/way.h"
#include "study/terms/evaluator.h"
#include "study/terms/shared.h"

namespace isochrone::study {

/// What one thread finds.
struct Found {
  std::int64_t legal = 0, pruned = 0, priced = 0, out_of_memory = 0;
  std::vector<Candidate> best, pareto;
};

/// One thread of a sweep: walks the axes of a part of a unit from the outside in, leaves out what is illegal, repeats
/// another configuration or, where it may prune, cannot be among the best; prices the rest.
class Worker {
 public:
  /// prune      leave out what `threshold`, the score of the worst of the best so far, rules out
  /// keep_rows  keep every priced configuration of a part in rows
  /// threshold  shared by all threads; only sinks
  /// way        through a layout's pipelines: rows come in the order of the axes only by the first of one thread
  Worker(const Space& space, bool prune, bool keep_rows, SharedTerms& shared, std::atomic<double>& threshold, Way way)
      : space_(space), prune_(prune), keep_rows_(keep_rows), threshold_(threshold), way_(way), evaluator_(shared) {}

  Found found;
  std::vector<Candidate> rows;

  /// Prices a part of a unit; `hopeless`: only counts it. Cheapest where the unit is that of the last call.
  void Run(const Walk& walk, std::int64_t unit, std::int64_t part, bool hopeless);

  /// No configuration of a unit has a lower score: the least of its layouts, from compute alone.
  double LeastScore(const Walk& walk, std::int64_t unit);

 private:
  /// Sets the block axes; false where they are illegal or repeat others.
  bool Enter(const Walk& walk, std::int64_t unit);
  /// Makes the evaluator ready for the block axes as they are set.
  void EnterBlock();
  /// Sets the layout axes; false where they are illegal or repeat others. Lists the step axes' combinations.
  bool EnterPart(std::int64_t part);
  template <class Body>
  void Each(std::size_t axis, std::int64_t index, std::int64_t span, const Body& body);
  /// Visits the combinations of step axes of a layout that are legal and do not repeat others.
  template <class Visit>
  void EachStep(const Visit& visit);
  /// Whether an earlier combination of the axes that cut layers into stages cuts them alike.
  bool RepeatsCut();
  void Pipelines(std::size_t axis, std::int64_t index, std::int64_t span);
  void Steps(std::int64_t index);

  /// No sharding of this layout may be among the best.
  bool NoneHopes();
  /// Leaves the evaluator where Price goes on.
  bool Hopes(int combination);
  void Price(std::int64_t index);
  void Lower(double score);

  double Score(double time, double model_flops) const;
  double Capacity() const;
  /// No configuration that takes at least so many seconds may be among the best.
  bool Hopeless(double least_time) const {
    return Score(least_time, evaluator_.ModelFlops(scenario_)) > threshold_.load(std::memory_order_relaxed);
  }
  bool TooLarge(double bytes) const { return space_.constraints.fits && bytes > Capacity(); }

  const Space& space_;
  const bool prune_, keep_rows_;
  std::atomic<double>& threshold_;
  const Way way_;
  Evaluator evaluator_;
  const Walk* walk_ = nullptr;
  std::int64_t unit_ = -1;
  bool legal_ = false, ready_ = false;  // of the unit: its block axes; the evaluator
  plan::Scenario scenario_;
  std::int64_t sequences_ = 0;
  struct Step {
    int combination = 0;
    StepKeys keys, effect;
  };
  std::vector<Step> steps_;                         // of the layout
  std::map<std::array<int, 4>, bool> repeats_cut_;  // of the walk
  double memory_ = 0;
  bool counting_ = false;
};

}  // namespace isochrone::study
