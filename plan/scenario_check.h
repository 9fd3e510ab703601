#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "plan/scenario.h"

// What the files that implement Check share.
namespace isochrone::plan {

/// Writes the errors of one scenario: place, fault, and values that would be legal.
class Faults {
 public:
  explicit Faults(const Scenario& scenario) : scenario_(scenario) {}

  /// "FILE: /strategy/tensor = 10"
  [[noreturn]] void Strategy(const char* key, const std::string& what, const std::string& instead) const;
  [[noreturn]] void Batch(const char* key, std::int64_t value, const std::string& what,
                          const std::string& instead) const;

  /// "of scenarios/models/gpt3_175b.json"
  std::string OfModel() const { return " of " + scenario_.model.file; }

 private:
  const Scenario& scenario_;
};

/// "1, 2, 4 or 8": the values of 1 … most that are legal, the six nearest to `wanted` where there are more.
std::string Legal(std::int64_t wanted, std::int64_t most, const std::function<bool(std::int64_t)>& legal);

void CheckShapes(const Scenario& scenario, const Faults& faults);    // tensor, context, expert against the model
void CheckPipeline(const Scenario& scenario, const Faults& faults);  // stages against layers
void CheckNumbers(const Scenario& scenario, const Faults& faults);   // formats against the GPU, optimizer, sharding

}  // namespace isochrone::plan
