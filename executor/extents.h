#pragma once

#include <cstdint>
#include <vector>

#include "executor/routing.h"
#include "plan/program.h"

namespace isochrone::executor {

/// How many rows a buffer has: as the plan says, or as many as the routing of the microbatch brings.
enum class Extent : std::uint8_t { kPlanned, kSent, kArriving, kHeld };

/// [buffer of the program]
using Extents = std::vector<Extent>;
Extents ExtentsOf(const plan::LayerProgram& program);

/// Elements of a buffer for one microbatch; `routing` may be null where nothing is routed.
Index ElementsOf(const plan::Buffer& buffer, Extent extent, const Routing* routing);

}  // namespace isochrone::executor
