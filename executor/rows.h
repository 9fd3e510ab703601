#pragma once

#include "executor/positions.h"
#include "kernels/shard.h"
#include "plan/layout.h"
#include "plan/op.h"
#include "plan/scenario.h"

namespace isochrone::executor {

/// Where the rows of a microbatch lie in the whole batch, for what depends on positions.
struct RowsAt {
  Index first_sequence = 0;  // of this microbatch, in the global batch
  Index first_row = 0;       // of this rank's rows (sequence parallelism) among the microbatch's tokens
  int tensor_rank = 0, tensor_size = 1;
  int context_rank = 0, context_size = 1;
};

inline RowsAt RowsOf(const plan::Scenario& s, const plan::Layout& l, const plan::Coordinates& at,
                     const Positions& positions, Index microbatches, Index microbatch) {
  const Index tokens = s.batch.microbatch * positions.Local();
  const bool split = s.strategy.sequence_parallel && l.tp > 1;
  return {.first_sequence = (Index{at.dp} * microbatches + microbatch) * s.batch.microbatch,
          .first_row = split ? tokens / l.tp * at.tp : 0,
          .tensor_rank = at.tp,
          .tensor_size = l.tp,
          .context_rank = at.cp,
          .context_size = l.cp};
}

/// The shards of random numbers that an op draws, body(first element, shard): an index over the whole batch, the same
/// at any degree. Scores (B, A, S, S) are indexed by sequence, head and position, rows of tokens by sequence, position
/// and channel.
///
/// heads  of the model
/// shape  of the op's result
template <class Body>
void ForEachShard(const Positions& positions, const RowsAt& at, Index heads, const plan::Elementwise& e,
                  const std::vector<std::int64_t>& shape, Body body) {
  if (shape.size() != 4) {
    const Index S = positions.Whole(), columns = e.columns;
    if (at.context_size == 1) {  // positions follow each other, also over the ends of sequences
      const Index first = at.first_sequence * S + at.first_row;
      return body(Index{0}, kernels::Shard{e.rows, columns, first * columns, columns});
    }
    return positions.ForEachRun(at.first_row, e.rows, [&](Index row, Index length, Index sequence, Index position) {
      const Index first = (at.first_sequence + sequence) * S + position;
      body(row * columns, kernels::Shard{length, columns, first * columns, columns});
    });
  }
  // Heads are shared by tensor ranks and, where they are exchanged for positions, by context ranks within.
  const Index mine = shape[1], S = shape[2], rows = mine * S;
  const Index first = at.tensor_rank * (heads / at.tensor_size) + at.context_rank * mine;
  for (Index b = 0; b < shape[0]; ++b) {
    const Index head = (at.first_sequence + b) * heads + first;
    body(b * rows * S, kernels::Shard{rows, S, head * S * S, S});
  }
}

}  // namespace isochrone::executor
