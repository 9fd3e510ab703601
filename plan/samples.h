#pragma once

#include <map>
#include <string>
#include <vector>

#include "plan/plan.h"

namespace isochrone::plan {

/// A measured time: the median of `repeats`, and the distance between the quartiles.
struct Sample {
  double seconds = 0, spread = 0;
  int repeats = 0;
  bool operator==(const Sample&) const = default;
};

/// Ops measured alone on one machine.
struct Samples {
  std::string machine, date, command;
  std::map<std::string, Sample> by_signature;
};

/// What one op does, without the buffers it does it to: its line in the text of a plan, and for a collective the size
/// of its group. Ops of equal signature take equal time.
std::string SignatureOf(const Layout& layout, const Op& op);
/// The same for an op of a layer, with the pass it belongs to: a pass that comes later finds its operands further away.
std::string SignatureOf(const Layout& layout, Phase phase, const Op& op);

/// A pipeline message of a plan, as an op; and, where tensor ranks send a part each, what puts the parts together.
Op MessageOp(const Plan& plan);
Op MessageGatherOp(const Plan& plan);

/// Every op of `plan` once, by signature.
struct PlanOp {
  const LayerProgram* program = nullptr;  // null for ops of the step and messages
  Op op;
};
std::map<std::string, PlanOp> OpsOf(const Plan& plan);

/// JSON with machine, date, command and one line per signature. Both throw Error.
void WriteSamples(const Samples& samples, const std::string& path);
Samples ReadSamples(const std::string& path);

}  // namespace isochrone::plan
