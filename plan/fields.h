#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/units.h"

namespace isochrone::plan {

/// An object of a file, over the object that it is based on, if any: {"base": "models/x.json", "sequence": 4096}. A key
/// is looked up in the upper object first; messages name the place where the value stands.
class Fields {
 public:
  explicit Fields(Json object) : layers_{std::move(object)} {}
  Fields(Json upper, const Fields& base) : layers_{std::move(upper)} {
    layers_.insert(layers_.end(), base.layers_.begin(), base.layers_.end());
  }

  std::optional<Json> Find(const std::string& key) const {
    for (const Json& layer : layers_) {
      if (auto value = layer.Find(key)) return value;
    }
    return std::nullopt;
  }
  Json At(const std::string& key) const {
    if (auto value = Find(key)) return *value;
    return layers_.back().At(key);  // throws
  }
  bool Has(const std::string& key) const { return Find(key).has_value(); }
  void Allow(const std::vector<std::string>& known) const {
    for (const Json& layer : layers_) layer.Allow(known);
  }
  const Json& Top() const { return layers_.front(); }

 private:
  std::vector<Json> layers_;
};

}  // namespace isochrone::plan
