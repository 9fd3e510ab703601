#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/units.h"

namespace isochrone::plan {

/// Objects over one another, the uppermost first: {"base": "models/x.json", "sequence": 4096}. A key
/// is looked up in the upper object first; messages name the place where the value stands.
class Fields {
 public:
  explicit Fields(std::vector<Json> layers) : layers_(std::move(layers)) {}

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
  void Allow(const std::vector<std::string>& known) const {
    for (const Json& layer : layers_) layer.Allow(known);
  }

 private:
  std::vector<Json> layers_;
};

}  // namespace isochrone::plan
