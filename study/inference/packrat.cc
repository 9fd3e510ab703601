#include "study/inference/packrat.h"

#include <algorithm>
#include <limits>
#include <tuple>

namespace isochrone::study {

std::vector<Instance> BestInstances(const std::vector<Instance>& profile, int threads, int batch) {
  constexpr double kNever = std::numeric_limits<double>::infinity();
  const auto at = [&](int t, int b) { return static_cast<std::size_t>(t * (batch + 1) + b); };
  std::vector<double> best(at(threads, batch) + 1, kNever);
  std::vector<int> chosen(best.size(), -1);
  for (int t = 0; t <= threads; ++t) best[at(t, 0)] = 0;
  for (int t = 1; t <= threads; ++t) {
    for (int b = 1; b <= batch; ++b) {
      for (std::size_t i = 0; i < profile.size(); ++i) {
        const Instance& p = profile[i];
        if (p.threads > t || p.batch > b) continue;
        const double latency = std::max(p.seconds, best[at(t - p.threads, b - p.batch)]);
        if (latency < best[at(t, b)]) best[at(t, b)] = latency, chosen[at(t, b)] = static_cast<int>(i);
      }
    }
  }
  std::vector<Instance> instances;
  for (int t = threads, b = batch; b > 0;) {
    if (chosen[at(t, b)] < 0) return {};
    const Instance& p = profile[static_cast<std::size_t>(chosen[at(t, b)])];
    instances.push_back(p);
    t -= p.threads, b -= p.batch;
  }
  std::sort(instances.begin(), instances.end(), [](const Instance& a, const Instance& b) {
    return std::tie(a.threads, a.batch) > std::tie(b.threads, b.batch);
  });
  return instances;
}

}  // namespace isochrone::study
