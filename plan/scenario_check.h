#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "plan/scenario.h"

// What the files that implement Check share.
namespace isochrone::plan {

/// A setting that may do: a strategy key, or "sequences" or "microbatch" of the batch, and its value as written in a
/// file.
struct Remedy {
  std::string key, value;
};

/// Writes the errors of one scenario: place, fault, and values that would be legal.
class Faults {
 public:
  /// `trial`: someone asks whether the scenario passes, not what would be right.
  explicit Faults(const Scenario& scenario, bool trial = false) : scenario_(scenario), trial_(trial) {}

  /// "FILE: /strategy/tensor = 10"
  [[noreturn]] void Strategy(const char* key, const std::string& what, const std::string& instead) const;
  /// Names the remedies, three at most, with which the whole scenario passes; where there are other faults as well and
  /// none does, the last, which is the plainest.
  [[noreturn]] void Strategy(const char* key, const std::string& what, const std::vector<Remedy>& remedies) const;
  [[noreturn]] void Batch(const char* key, std::int64_t value, const std::string& what,
                          const std::string& instead) const;

  /// "of scenarios/models/gpt3_175b.json"
  std::string OfModel() const { return " of " + scenario_.model.file; }

 private:
  const Scenario& scenario_;
  bool trial_;
};

/// "1, 2, 4 or 8": the values of 1 … most that are legal, the six nearest to `wanted` where there are more.
std::string Legal(std::int64_t wanted, std::int64_t most, const std::function<bool(std::int64_t)>& legal);

void CheckShapes(const Scenario& scenario, const Faults& faults);    // tensor, context, expert against the model
void CheckPipeline(const Scenario& scenario, const Faults& faults);  // stages against layers
void CheckNumbers(const Scenario& scenario, const Faults& faults);   // formats against the GPU, optimizer, sharding
void CheckForms(const Scenario& scenario, const Faults& faults);     // forms against each other and the model
void CheckSchedule(const Scenario& scenario, const Faults& faults);  // the schedule against its shape

}  // namespace isochrone::plan
