#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "executor/memory.h"
#include "kernels/shard.h"
#include "plan/plan.h"
#include "plan/scenario.h"

namespace isochrone::executor {

using kernels::Index;

/// A run of whole rows of a shard, and where it lies in the full tensor.
struct Piece {
  Index local_row = 0;
  kernels::Shard of_full;
};

/// One parameter of one rank: its shard, gradient and optimizer state, all flat. A vector is a matrix of one column.
template <class T>
struct Parameter {
  std::string key;  // "layer.3.fc1.weight", "embedding.weight": the same at any degree
  Index rows = 0, columns = 0;
  Index full_rows = 0, full_columns = 0;
  std::vector<Piece> pieces;
  bool partial_over_tensor = false;  // gradients are added over tp after the step
  bool sharded = false;              // tensor ranks hold different parts
  bool tied = false;                 // a table that another stage holds too
  bool counts = true;                // false: a second copy of a tied table, left out of the gradient norm
  bool decays = true;                // weight decay; vectors have none

  /// Elements with padding, so that data-parallel ranks own equal parts.
  Index padded = 0;
  Index first_owned = 0, owned = 0;                             // what this rank's optimizer updates, padding included
  Memory::Handle value, gradient, first_moment, second_moment;  // moments hold `owned` elements

  Index Count() const { return rows * columns; }
  /// Index in the full tensor of local element i.
  Index FullIndex(Index i) const;
};

/// How a plan's parameter buffer lies in its full tensor.
///
/// Rows split over tp: packed qkv by heads (queries, keys, values each on their own), a gated first projection by gate
/// and up, all others in equal blocks. Columns (axis 1) in equal blocks.
template <class T>
Parameter<T> ShardOf(const plan::Model& model, const plan::Buffer& buffer, int layer, int tensor_rank, int tensor_size);

/// Fills the shard: normal weights that depend on run seed, key and index in the full tensor alone. Matrices have
/// deviation 0.02, biases 0.02 around 0, normalisation weights 0.02 around 1, so that nothing vanishes by symmetry.
template <class T>
void Initialise(std::uint64_t seed, Parameter<T>& parameter);

/// A 64-bit hash of text (FNV-1a) mixed with a seed.
std::uint64_t SeedOf(std::uint64_t seed, const std::string& text);

}  // namespace isochrone::executor
