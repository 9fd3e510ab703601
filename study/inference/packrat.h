#pragma once

#include <vector>

namespace isochrone::study {

/// One instance of a model: its threads, the share of the batch that it takes, and how long that takes.
struct Instance {
  int threads = 1, batch = 1;
  double seconds = 0;
};

/// The split of `threads` threads and a batch of `batch` items into instances that finishes first, where every instance
/// takes its own share at the same time.
///
///   f(T, B) = min over (t, b) of max(L(t, b), f(T - t, B - b)),   f(·, 0) = 0
///
/// profile  L(t, b): measured instances, any subset of threads and batches
/// Source   Bansal et al., "Packrat: automatic reconfiguration for latency minimization in CPU-based DNN serving",
/// arXiv
///          2311.18174, section 3.3.
/// Returns  the instances, largest first; empty where the profile cannot make up the batch.
std::vector<Instance> BestInstances(const std::vector<Instance>& profile, int threads, int batch);

}  // namespace isochrone::study
