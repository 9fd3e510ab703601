#pragma once

#include <algorithm>
#include <array>
#include <compare>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "study/search/in_flight.h"
#include "study/search/pipeline_paths.h"
#include "study/search/step_terms.h"

namespace isochrone::study {

/// Values by key, each made once by the first thread that asks; others wait for it. References stay good.
template <class Key, class Value>
class MadeOnce {
 public:
  template <class Make>
  const Value& Get(const Key& key, const Make& make) {
    Slot* slot = nullptr;
    {
      const std::lock_guard lock(mutex_);
      auto& known = slots_[key];
      if (!known) known = std::make_unique<Slot>();
      slot = known.get();
    }
    std::call_once(slot->made, [&] { slot->value.emplace(make()); });
    return *slot->value;
  }

 private:
  struct Slot {
    std::once_flag made;
    std::optional<Value> value;
  };
  std::mutex mutex_;
  std::map<Key, std::unique_ptr<Slot>> slots_;
};

/// What decides the work around a pipeline beside its prefix: which stages lie where, and the combination of step axes.
struct StepKey {
  std::array<std::int32_t, 8> cut{};
  std::int32_t combination = 0;
  auto operator<=>(const StepKey&) const = default;
};
using StepStore = MadeOnce<StepKey, StepTerms>;

/// What the threads of one sweep work out once for all of them.
class SharedTerms {
 public:
  /// Requires  plan::TheoryOf accepts `shape`
  const InFlight& InFlightOfShape(const plan::ScheduleShape& shape) {
    const plan::ScheduleShape small = ShapeForCounting(shape);
    const std::array<int, 4> key = {static_cast<int>(small.kind), small.ranks, small.chunks, small.microbatches};
    return counts_.Get(key, [&] { return InFlightOf(small); });
  }

  const sim::OrderPaths& PathsOfOrder(const PathsKey& key, PathFinder& finder) {
    return paths_.Get(key, [&] { return finder.PathsOf(key); });
  }

  /// Of one prefix. The last few that were asked for are kept, and those that threads work on.
  std::shared_ptr<StepStore> StepsOf(std::int64_t prefix) {
    const std::lock_guard lock(mutex_);
    const auto it =
        std::find_if(steps_.begin(), steps_.end(), [&](const auto& known) { return known.first == prefix; });
    if (it != steps_.end()) {
      std::rotate(it, it + 1, steps_.end());
    } else {
      if (steps_.size() == kKept) steps_.erase(steps_.begin());
      steps_.emplace_back(prefix, std::make_shared<StepStore>());
    }
    return steps_.back().second;
  }

 private:
  MadeOnce<std::array<int, 4>, InFlight> counts_;
  MadeOnce<PathsKey, sim::OrderPaths> paths_;
  std::mutex mutex_;
  static constexpr std::size_t kKept = 32;
  std::vector<std::pair<std::int64_t, std::shared_ptr<StepStore>>> steps_;  // the last asked for is last
};

}  // namespace isochrone::study
