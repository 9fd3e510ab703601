#pragma once

#include <algorithm>
#include <array>
#include <compare>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "study/terms/held.h"
#include "study/terms/in_flight.h"
#include "study/terms/made_once.h"
#include "study/terms/pipeline_paths.h"
#include "study/terms/step_terms.h"

namespace isochrone::study {

/// Stores by key: the last `kept` that were asked for, and those that threads hold.
template <class Key, class Store>
class Recent {
 public:
  explicit Recent(std::size_t kept) : kept_(kept) {}

  std::shared_ptr<Store> Of(const Key& key) {
    const std::lock_guard lock(mutex_);
    const auto it = std::find_if(stores_.begin(), stores_.end(), [&](const auto& known) { return known.first == key; });
    if (it != stores_.end()) {
      std::rotate(it, it + 1, stores_.end());
    } else {
      if (stores_.size() == kept_) stores_.erase(stores_.begin());
      stores_.emplace_back(key, std::make_shared<Store>());
    }
    return stores_.back().second;
  }

 private:
  const std::size_t kept_;
  std::mutex mutex_;
  std::vector<std::pair<Key, std::shared_ptr<Store>>> stores_;  // the last asked for is last
};

/// Stores by number, as long as a thread holds them; who lets go last, mostly the thread that filled it, frees it.
template <class Store>
class WhileHeld {
 public:
  std::shared_ptr<Store> Of(std::int64_t number) {
    const std::lock_guard lock(mutex_);
    std::erase_if(stores_, [](const auto& known) { return known.second.expired(); });
    for (const auto& [known, store] : stores_) {
      if (known != number) continue;
      if (std::shared_ptr<Store> held = store.lock()) return held;
    }
    const auto made = std::make_shared<Store>();
    stores_.emplace_back(number, made);
    return made;
  }

 private:
  std::mutex mutex_;
  std::vector<std::pair<std::int64_t, std::weak_ptr<Store>>> stores_;
};

/// What decides a block's programs beside its unit: how passes move sharded state (all zero where they move none).
using BlockKey = std::array<std::int32_t, 4>;

/// What decides a block's prices beside its programs: the framework profile and the shapes of its groups.
struct PricesKey {
  BlockKey block{};
  int profile = 0;
  std::vector<int> shapes;
  auto operator<=>(const PricesKey&) const = default;
};

/// Prices of a block's layers and of what goes with them.
struct BlockPrices {
  std::vector<LayerTerms> layers;
  std::array<double, 2> least_work{};  // of one microbatch, all layers; [0] with one stage, [1] with several
  ComputeAlone compute;
  costmodel::Contention contention;  // inside passes
  double host = 0, batch = 0;        // of a step, of a forward pass
};

/// Of one unit.
struct BlockStore {
  MadeOnce<BlockKey, BlockShape> shapes;
  MadeOnce<PricesKey, BlockPrices> prices;

  const plan::ProgramTable& Bare(const plan::Scenario& scenario) {
    std::call_once(bare_made_, [&] { bare_ = plan::BuildBarePrograms(scenario); });
    return bare_;
  }

 private:
  std::once_flag bare_made_;
  plan::ProgramTable bare_;
};

/// What decides what ranks hold of each kind of stage: the shape that is counted, and where the kinds are.
struct HeldKey {
  std::array<int, 4> shape{};
  Kinds kinds;
  auto operator<=>(const HeldKey&) const = default;
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
  /// threads   that work at once
  /// prefixes  whose steps are kept when no thread is at them: as many as units come back to
  SharedTerms(std::size_t threads, std::size_t prefixes) : orders_(kOrdersOfAThread * threads), steps_(prefixes) {}

  /// Requires  plan::TheoryOf accepts `shape`
  const InFlight& InFlightOfShape(const plan::ScheduleShape& shape) {
    const plan::ScheduleShape small = ShapeForCounting(shape);
    return counts_.Get(KeyOf(small), [&] { return InFlightOf(small); });
  }

  /// InFlightOfShape by kind of stage of `cut`.
  const Held& HeldOfCut(const plan::ScheduleShape& shape, const InFlight& in_flight, const StageCut& cut) {
    const HeldKey key{KeyOf(ShapeForCounting(shape)), {cut.kind, cut.above}};
    return held_.Get(key, [&] { return HeldByKind(in_flight, key.kinds); });
  }

  const sim::OrderPaths& PathsOfOrder(const PathsKey& key) {
    return paths_.Get(key, [&] {
      const auto order = orders_.Of(key.core);
      return PathsOf(key, order->Get(key.core, [&] { return OrderOf(key.core); }));
    });
  }

  std::shared_ptr<BlockStore> BlocksOf(std::int64_t unit) { return blocks_.Of(unit); }
  std::shared_ptr<StepStore> StepsOf(std::int64_t prefix) { return steps_.Of(prefix); }

 private:
  static constexpr std::size_t kOrdersOfAThread = 4;

  static std::array<int, 4> KeyOf(const plan::ScheduleShape& shape) {
    return {static_cast<int>(shape.kind), shape.ranks, shape.chunks, shape.microbatches};
  }

  MadeOnce<std::array<int, 4>, InFlight> counts_;
  MadeOnce<HeldKey, Held> held_;
  MadeOnce<PathsKey, sim::OrderPaths> paths_;
  Recent<std::array<int, 4>, MadeOnce<std::array<int, 4>, sim::OrderGraph>> orders_;  // one each: they are large
  WhileHeld<BlockStore> blocks_;
  Recent<std::int64_t, StepStore> steps_;
};

}  // namespace isochrone::study
