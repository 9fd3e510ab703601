#pragma once

#include <string>
#include <string_view>

#include "plan/plan.h"

namespace isochrone::plan {

/// The whole plan as text that ParsePlan reads back as the same plan: layout, messages, programs with buffers and ops,
/// stages, the order of tasks, side tasks, prologue and epilogue. Fields that have their default value are left out.
std::string Print(const Plan& plan);

/// Throws Error with the line that is wrong and what would be right.
Plan ParsePlan(std::string_view text, const std::string& name);

/// One op on one line: `qkv compute gemm m=2048 n=4608 … in 3,4 out 5 after 2`.
std::string Print(const Op& op);

}  // namespace isochrone::plan
