#pragma once

#include <vector>

#include "plan/op.h"

namespace isochrone::costmodel {

/// Seconds that each op of a pass holds its stream where tensor collectives are cut into `pieces` that run beside the
/// product next to them, as userbuffers do: a gather passes rank by rank into the product that reads it, a
/// reduce-scatter drains the product that makes it.
///
///   hidden  = min(t (1 − 1/pieces), t_product)       of a collective that takes t alone
///   exposed = t − hidden + (slowdown − 1) hidden     the product is slower while pieces of a reduce-scatter pass;
///                                                    those of a gather are copied by the copy engines: 1
///
/// Gathers for a weight gradient, and reduce-scatters of input gradients, are left to their streams: they run beside
/// the product before or after (bulk overlap).
/// Source  Transformer Engine, initialize_ub: ring_exchange for qkv_fprop, fc1_fprop, proj_dgrad and fc2_dgrad,
///         pipeline for proj_fprop and fc2_fprop, bulk for the others; get_default_config: one multiprocessor and the
///         copy engines for ring_exchange, else 16, which products leave to it (set_sm_margin).
std::vector<double> PipelinedSeconds(const std::vector<plan::Op>& ops, std::vector<double> seconds, int pieces,
                                     double slowdown);

}  // namespace isochrone::costmodel
