#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/json.h"
#include "plan/catalogue.h"
#include "plan/scenario.h"

namespace isochrone::plan {

/// One key of "strategy": the only place that knows its name, meaning and legal values. Its default is the member's
/// initial value in `Strategy`; `data` alone has none there, because it follows from the GPUs.
struct StrategyKey {
  std::string name, meaning;
  /// Sets the key from its JSON value; `beside` is where file names in it start from. Throws Error.
  std::function<void(const Json& value, const Found& beside, Strategy& strategy)> set;
  /// The value as it is written in a file, without quotes.
  std::function<std::string(const Strategy& strategy)> show;
};

/// All keys, in the order in which documents list them.
const std::vector<StrategyKey>& StrategyKeys();

/// The key of that name, or nullptr.
const StrategyKey* FindStrategyKey(const std::string& name);

/// Sets one key from its value as `show` writes it. Throws Error; requires that there is such a key.
void SetStrategy(const std::string& name, const std::string& value, Strategy& strategy);

/// Reads an object, or several objects that do not overlap, and lists in `defaults` ("key = value") the keys that none
/// of them gives. `data` is left to the caller where it is absent.
Strategy ReadStrategy(const std::vector<Json>& objects, const Found& beside, std::vector<std::string>& defaults);

}  // namespace isochrone::plan
