#pragma once

#include <string>

#include "base/terminal.h"
#include "plan/timeline.h"

namespace isochrone::plan {

/// The timeline as text: a row per rank, time from left to right, a pass named where it fits as in docs/words.md and
/// filled with - (forward), = (backward), ~ (its input half), . (its weight half), # (overlapped), + (prologue,
/// epilogue) or : (recompute); blank where the rank waits. Below a rank a row for each other stream on which side tasks
/// ran. At the end of a row, the share of the time in which the rank worked.
///
///          0                                 40.0 s
///   rank 0 |F0--F1--      B0====F2--B1====    B2====|  75%
///   rank 1 |    F0--B0====F1--B1====F2--B2====      |  75%
///
/// terminal  its width (100 where there is none) and colours; at least 40 columns are used
std::string Draw(const Timeline& timeline, const Terminal& terminal);

}  // namespace isochrone::plan
