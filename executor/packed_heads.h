#pragma once

#include <cmath>
#include <string>
#include <vector>

#include "executor/positions.h"
#include "kernels/attention.h"
#include "plan/program.h"
#include "plan/scenario.h"

namespace isochrone::executor {

/// Rows that hold a token's queries, keys and values: all query heads of this rank, then its key heads, then its value
/// heads, each of `size` numbers.
struct PackedHeads {
  Index query = 0, key = 0, size = 0;
  Index Packed() const { return (query + 2 * key) * size; }
  Index KeyAt() const { return query * size; }
  Index ValueAt() const { return (query + key) * size; }
  /// Numbers of a row that holds keys and values alone.
  Index PackedKeys() const { return 2 * key * size; }

  /// Attention of queries in packed rows to keys in rows of `key_pitch` numbers (0: in packed rows too).
  kernels::AttentionShape Shape(Index batch, Index queries, Index keys, Index key_pitch = 0) const {
    return {.batch = batch,
            .queries = queries,
            .keys = keys,
            .heads = query,
            .kv_heads = key,
            .head_size = size,
            .query_pitch = Packed(),
            .key_pitch = key_pitch > 0 ? key_pitch : Packed()};
  }
};

/// What scores are multiplied with: 1 / sqrt(size).
inline float AttentionScale(Index size) { return static_cast<float>(1 / std::sqrt(static_cast<double>(size))); }

inline PackedHeads HeadsOf(const plan::Attention& a) { return {a.heads, a.kv_heads, a.qk_dim}; }

/// Heads, sequences and positions of unfused attention, from the square of scores (B, A, S, S) that an op reads or
/// writes.
struct SquareHeads : PackedHeads {
  Index sequences = 0, positions = 0;
};
SquareHeads HeadsOf(const plan::Model& model, const plan::LayerProgram& program, const plan::Op& op);

/// The sections of heads that packed columns have: queries, keys and values for "heads_exchange", else one.
std::vector<Index> HeadSections(const plan::Model& model, int tensor_size, const std::string& op, Index columns);

/// A number of queries against a number of keys of every sequence of the microbatch, where they start in their arrays.
struct AttentionArea {
  Index first_query = 0, queries = 0, first_key = 0, keys = 0;  // rows within one sequence
  kernels::AttentionMask mask;                                  // with the positions of the first ones
};

/// The part of the scores that an op of attention over context ranks stands for ("attention.2": step 2).
///
/// ring        step 0 is the rank's own block. Under a causal mask a block of an earlier rank shows its early half to
///             all queries, one of a later rank all of itself to the late half of them.
/// all-gather  one run of the rank's positions against all keys up to its end; without a mask all against all
AttentionArea AreaOf(const plan::Op& op, const plan::Model& model, const plan::Strategy& strategy,
                     const Positions& positions, int context_rank);

}  // namespace isochrone::executor
