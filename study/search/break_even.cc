#include "study/search/break_even.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"

namespace isochrone::study {
namespace {

constexpr double kClose = 0.005;

/// Figures of hardware vary smoothly; counts of it, and what models and batches have, are whole.
bool IsWhole(const std::string& key) {
  if (!key.starts_with("/cluster/")) return true;
  const std::string last = key.substr(key.rfind('/') + 1);
  return last == "nodes" || last == "gpus" || last == "domain_gpus" || last == "nics" || last == "multiprocessors";
}

std::vector<double> ListedValues(const Space& space) {
  std::vector<double> values;
  for (const auto& of_base : space.base_values) {
    std::size_t used = 0;
    try {
      values.push_back(std::stod(of_base.front(), &used));
    } catch (const std::logic_error&) {
    }
    if (used != of_base.front().size())
      throw Error(space.file, "lists " + of_base.front() + ", which is no number", "list numbers for --break-even");
  }
  std::sort(values.begin(), values.end());
  return values;
}

class Halving {
 public:
  Halving(const Space& space, const std::string& path, const std::vector<double>& values, int jobs,
          const std::atomic<bool>& stop)
      : path_(path), key_(space.base_keys.front()), whole_(IsWhole(key_)), jobs_(jobs), stop_(stop) {
    std::int64_t divisor = 0;
    for (double v : values) divisor = std::gcd(divisor, static_cast<std::int64_t>(v));
    step_ = static_cast<double>(std::max<std::int64_t>(1, divisor));
  }

  BestOfEach At(double value) const {
    return std::move(SearchEach(ReadSpaceAt(path_, key_, value), jobs_, stop_).front());
  }

  /// Adds the changes between two values.
  void Between(double below, const BestOfEach& best_below, double above, const BestOfEach& best_above,
               std::vector<BreakEven>& into) const {
    if (stop_ || best_below.Choice() == best_above.Choice()) return;
    const double middle = MiddleOf(below, above);
    if (middle <= below || middle >= above) {
      into.push_back({below, above, best_below, best_above});
      return;
    }
    const BestOfEach best = At(middle);
    Between(below, best_below, middle, best, into);
    Between(middle, best, above, best_above, into);
  }

 private:
  /// One of the ends where they are close enough.
  double MiddleOf(double below, double above) const {
    if (whole_) return below + std::floor((above - below) / step_ / 2) * step_;
    return above - below <= kClose * above ? below : (below + above) / 2;
  }

  const std::string& path_;
  std::string key_;
  bool whole_;
  int jobs_;
  const std::atomic<bool>& stop_;
  double step_ = 1;
};

}  // namespace

BreakEvens BreakEvensOf(const Space& space, const std::string& path, int jobs, const std::atomic<bool>& stop) {
  if (space.base_keys.size() != 1 || space.base_keys.front() == "/scenario" || space.scaled)
    throw Error(space.file, "does not list exactly one figure of model, cluster or batch",
                "give one a list or a range, say batch/sequences, for --break-even");
  const std::vector<double> values = ListedValues(space);
  const Halving halving(space, path, values, jobs, stop);
  BestOfEach before = halving.At(values.front());
  BreakEvens all{values.front(), values.back(), before, {}};
  for (std::size_t i = 1; i < values.size() && !stop; ++i) {
    BestOfEach now = halving.At(values[i]);
    halving.Between(values[i - 1], before, values[i], now, all.points);
    before = std::move(now);
  }
  return all;
}

}  // namespace isochrone::study
