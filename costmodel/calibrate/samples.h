#pragma once

#include <string>
#include <vector>

#include "base/units.h"
#include "plan/op.h"

namespace isochrone::costmodel {

/// A measured time and the ops that ran in it, one after another.
struct Sample {
  std::vector<plan::OpKind> ops;
  Seconds time;
};

struct SampleTable {
  std::string file;         // as named by the caller
  std::string description;  // machine, driver, clock, date, command, where the file says; else its device column
  std::vector<Sample> samples;
  std::vector<Sample> grouped;  // products of experts (plan::GroupedGemm), which no curve is fitted to
};

/// Reads measurements. Lines that start with # describe them; the header line says which of these forms it is:
///
///   device, gemm_dtype, m, n, k, latency            products x Wᵀ, latency in ms; further columns are ignored
///   device, batch_size, isl, num_heads, …, latency  causal attention after a pass that splits and rotates q, k, v and
///                                                   writes the cache, ms; rows with a window or another cache format
///                                                   than the inputs' are left out
///   mp, b, h, l, dim, F_dur(us), B_dur(us)          one operator, named in the file's name, forward and backward
///                                                   (bmm, baddbmm, flash_atten, gelu, res_add, layernorm, linear…)
///   op, pass, dtype, batch, m, n, k, heads, kv_heads, queries, keys, head_dim, causal, bytes, seconds
///                                                   our own microbenchmarks; cells that do not apply are empty. op is
///                                                   gemm, attention, elementwise, softmax, normalization, scatter or
///                                                   optimizer; pass is forward or backward
///
/// A file that ends in .json is a table of operators (operator_factors.h).
/// Throws Error with file and line where a number is missing or out of range, and for an unknown header.
SampleTable ReadSamples(const std::string& path);

}  // namespace isochrone::costmodel
