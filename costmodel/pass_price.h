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

/// What compute and communication of one GPU do to each other while both run.
struct Contention {
  /// [stream] Factor on the time of compute beside an op of that stream, which holds some of the multiprocessors.
  std::array<double, plan::kStreams> compute;
  double communication = 1;  // factor on the time of communication beside compute
  /// 1 to 2: how much slower products get beside ops of streams that `holds_up` where they are cut into one block for
  /// each multiprocessor beforehand. Blocks whose multiprocessors an op holds start late, when it ends or the others
  /// have, and then have the GPU to themselves. A product of t alone that starts while an op goes on for c more takes
  ///
  ///   t + (product − 1) max(0, min(c, t) − (1 − late) t)
  ///
  /// late  tiles of a late block over those of the first, which may have one more
  double product = 1;
  std::array<bool, plan::kStreams> holds_up{};
  bool measured = false;  // on this very GPU, whatever the groups are

  Contention() { compute.fill(1); }
  Contention(double compute_factor, double communication_factor) : communication(communication_factor) {
    compute.fill(compute_factor);
  }
};

/// How much slower two kinds of work are while both run.
struct Slowdowns {
  double compute = 1, communication = 1;
};

/// Tiles of the fullest late block over those of the fullest block, where `tiles` are shared out in turn among one
/// block for each multiprocessor and `held` of those are taken; 0: every block has a multiprocessor.
double LateShare(double tiles, double multiprocessors, double held);

/// Whether an op is matrix products: of layers, of attention that is not fused, of experts.
bool IsProduct(const plan::Op& op);

/// Of a pass and of an op of `stream` that outlasts it.
///
/// products  share of its compute that is matrix products, 0 to 1
/// late      Σ late t of products over all compute (see Contention)
Slowdowns SlowdownsBeside(const Contention& contention, plan::Stream stream, double products, double late);

/// Plays the ops of one pass over the streams of one GPU: an op starts when its stream is free and its `after` have
/// ended; while compute and communication run together `contention` says what becomes of each.
///
/// seconds  one number per op, alone on the GPU
/// late     one per op, of products (see Contention); empty: 1
PassPrice PriceOfPass(const std::vector<plan::Op>& ops, const std::vector<double>& seconds,
                      const Contention& contention, const std::vector<double>& late = {});

/// Start and end of each op in that play, for timelines.
struct OpSpan {
  double start = 0, end = 0;
};
std::vector<OpSpan> SpansOfPass(const std::vector<plan::Op>& ops, const std::vector<double>& seconds,
                                const Contention& contention, const std::vector<double>& late = {});

}  // namespace isochrone::costmodel
