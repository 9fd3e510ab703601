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

/// Stores by number: the last few that were asked for, and those that threads hold.
template <class Store, std::size_t kKept>
class Recent {
 public:
  std::shared_ptr<Store> Of(std::int64_t number) {
    const std::lock_guard lock(mutex_);
    const auto it =
        std::find_if(stores_.begin(), stores_.end(), [&](const auto& known) { return known.first == number; });
    if (it != stores_.end()) {
      std::rotate(it, it + 1, stores_.end());
    } else {
      if (stores_.size() == kKept) stores_.erase(stores_.begin());
      stores_.emplace_back(number, std::make_shared<Store>());
    }
    return stores_.back().second;
  }

 private:
  std::mutex mutex_;
  std::vector<std::pair<std::int64_t, std::shared_ptr<Store>>> stores_;  // the last asked for is last
};

/// What decides a block's programs beside its unit: whether it has a pipeline, and how passes move sharded state (all
/// zero where they move none).
struct BlockKey {
  bool piped = false;
  std::array<std::int32_t, 4> traffic{};
  auto operator<=>(const BlockKey&) const = default;
};

/// What decides a block's prices beside its programs: the framework profile and the shapes of its groups.
struct PricesKey {
  BlockKey block;
  int profile = 0;
  std::vector<int> shapes;
  auto operator<=>(const PricesKey&) const = default;
};

/// Prices of a block's layers and of what goes with them.
struct BlockPrices {
  std::vector<LayerTerms> layers;
  double least_work = 0;  // of one microbatch, all layers
  costmodel::Contention contention;
  double host = 0;
};

/// Of one unit.
struct BlockStore {
  MadeOnce<BlockKey, BlockShape> shapes;
  MadeOnce<PricesKey, BlockPrices> prices;
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

  std::shared_ptr<BlockStore> BlocksOf(std::int64_t unit) { return blocks_.Of(unit); }
  std::shared_ptr<StepStore> StepsOf(std::int64_t prefix) { return steps_.Of(prefix); }

 private:
  MadeOnce<std::array<int, 4>, InFlight> counts_;
  MadeOnce<PathsKey, sim::OrderPaths> paths_;
  Recent<BlockStore, 4> blocks_;
  Recent<StepStore, 32> steps_;
};

}  // namespace isochrone::study
