#pragma once

#include "base/units.h"

namespace isochrone::costmodel {

/// Share of its time that a GPU computes while state comes and goes over a link and nothing overlaps.
///
///   efficiency = compute / (compute + transfer) = ait bw / (ait bw + peak)
///
/// ait   floating-point operations for each byte moved. Of a Transformer with sequences of S tokens in microbatches of
/// b:
///       parameters and gradients S b, optimizer state S b / 4, activation checkpoints each c layers 24 H c
/// bw    of the link, one direction
/// peak  what the GPU reaches when nothing holds it up
/// Source  Rajbhandari et al., ZeRO-Infinity, arXiv 2104.07857, section 4.1, equations 6 and 9 to 11.
/// Assumes no overlap: played steps, where copies run beside computation, are at least as efficient.
inline double OffloadEfficiency(double ait, BytesPerSecond bw, FlopsPerSecond peak) {
  return ait * bw.value / (ait * bw.value + peak.value);
}

}  // namespace isochrone::costmodel
