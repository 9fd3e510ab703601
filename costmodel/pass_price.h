#pragma once

#include <array>
#include <functional>
#include <vector>

#include "plan/op.h"

namespace isochrone::costmodel {

/// How long one pass of one layer takes, and what every instant of it is. Parts add up to `total`.
struct PassPrice {
  double total = 0;    // seconds
  double compute = 0;  // the compute stream is busy
  std::array<double, plan::kStreams>
      exposed{};  // only that stream is busy (the first in the order of Stream where several are)
  std::array<double, plan::kStreams> busy{};  // each stream's own work, overlapped or not
};

/// How much slower two kinds of work are while both run: compute beside communication, and communication beside
/// compute.
struct Contention {
  double compute = 1, communication = 1;  // factors on time, at least 1
};

/// Plays the ops of one pass over the streams of one GPU: an op starts when its stream is free and its `after` have
/// ended; while compute and communication run together each is slowed as `contention` says.
///
/// seconds  one number per op, alone on the GPU
PassPrice PriceOfPass(const std::vector<plan::Op>& ops, const std::vector<double>& seconds,
                      const Contention& contention);

/// Start and end of each op in that play, for timelines.
struct OpSpan {
  double start = 0, end = 0;
};
std::vector<OpSpan> SpansOfPass(const std::vector<plan::Op>& ops, const std::vector<double>& seconds,
                                const Contention& contention);

}  // namespace isochrone::costmodel
