#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <vector>

#include "study/search/candidate.h"
#include "study/search/space.h"

namespace isochrone::study {

struct SweepOptions {
  int jobs = 1;
  bool prune = false;           // leave out layouts that cannot be among the best; then there is no Pareto front
  int shard = 1, shards = 1;    // this process's part of the units
  std::int64_t first_unit = 0;  // units before it have been answered already
  /// Receives a unit's configurations in order, units in ascending order, from one thread at a time. Empty: not called.
  std::function<void(std::int64_t unit, const std::vector<Candidate>&)> each;
  std::function<void(std::int64_t done, std::int64_t units, std::int64_t priced)> progress;
  const std::atomic<bool>* stop = nullptr;  // ends after the units in hand
};

struct SweepResult {
  std::int64_t legal = 0, pruned = 0, priced = 0, out_of_memory = 0;
  std::int64_t combinations = 0, units = 0;
  double elapsed_s = 0;
  std::vector<double> cpu_s;      // of each thread
  std::vector<Candidate> best;    // that fit, best first
  std::vector<Candidate> pareto;  // no other is better in step time (by score), memory and GPUs at once
  bool complete = true;           // false where `stop` ended it
};

/// Prices every legal combination of `space`, or, where `prune`, every one that may be among the best: a layout is left
/// out only where the mean work of its ranks alone takes longer than the worst of the best so far, a pipeline where it
/// does by itself, and a configuration where activations and unsharded state alone do not fit. Of equal scores the
/// lower index is better, so the answer does not depend on threads. A unit is one combination of block axes; threads
/// take units, or some layouts of one.
SweepResult Sweep(const Space& space, const SweepOptions& options);

}  // namespace isochrone::study
