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

/// One parameter of one rank: its part of the full tensor, gradient and optimizer state, all flat. A vector is a matrix
/// of one column. Ranks that hold the same part own equal shares of it where state is sharded.
///
/// value, gradient              the whole part, with padding; empty between layers where only shares are kept
/// value_share, gradient_share  what this rank owns of them, where the whole is not kept (ZeRO-3; ZeRO-2 and 3)
template <class T>
struct Parameter {
  std::string key;  // "layer.3.fc1.weight", "embedding.weight": the same at any degree
  Index rows = 0, columns = 0;
  Index full_rows = 0, full_columns = 0;
  std::vector<Piece> pieces;
  bool partial_over_tensor = false;  // gradients are added over tp after the step
  bool sharded = false;              // tensor ranks hold different parts
  bool expert = false;               // of an expert: copies lie in the expert data group
  bool tied = false;                 // a table that another stage holds too
  bool counts = true;                // false: a second copy of a tied table, left out of the gradient norm
  bool decays = true;                // weight decay; vectors have none

  /// Elements with padding, so that data-parallel ranks own equal parts.
  Index padded = 0;
  Index first_owned = 0, owned = 0;                             // what this rank's optimizer updates, padding included
  Memory::Handle value, gradient, first_moment, second_moment;  // moments hold `owned` elements
  Memory::Handle value_share, gradient_share;
  bool reduced = false;  // this pass's gradient is added up over all ranks where this rank's share of it lies
  int value_users = 0, gradient_users = 0;  // passes that need the whole now

  Index Count() const { return rows * columns; }
  T* OwnedValue() const { return value_share ? value_share->template As<T>() : value->template As<T>() + first_owned; }
  T* OwnedGradient() const {
    return gradient_share ? gradient_share->template As<T>() : gradient->template As<T>() + first_owned;
  }
  /// All of the gradient that this rank keeps: its share, or the whole.
  T* KeptGradient() const { return (gradient_share ? gradient_share : gradient)->template As<T>(); }
  Index KeptGradients() const { return gradient_share ? owned : Count(); }
  /// Index in the full tensor of local element i.
  Index FullIndex(Index i) const;
};

/// Where a rank stands among those that cut parameters.
struct CutAt {
  int tensor_rank = 0, tensor_size = 1;
  int expert_tensor_rank = 0, expert_tensor_size = 1;
  std::vector<int> experts;  // numbers in the model of this rank's experts
  int expert_count = 0;      // of the model
};

/// How a plan's parameter buffer lies in its full tensor.
///
/// Rows split over tp: packed qkv by heads (queries, keys, values each on their own), a gated first projection by gate
/// and up, a Mamba-2 mixer's by gate, x, B, C and steps, all others in equal blocks. Columns (axis 1) in equal blocks.
/// Experts (E, n, k): the rank's own, each cut over expert-tensor ranks in the same way.
template <class T>
Parameter<T> ShardOf(const plan::Model& model, const plan::Buffer& buffer, int layer, const CutAt& at);

/// Where embedding and head share their table: marks what another stage holds too, and names the head's copy as the
/// embedding's.
template <class T>
void TieTable(const plan::Model& model, bool on_several_stages, const plan::Buffer& buffer, Parameter<T>& parameter);

template <class T>
const std::string& KeyOf(const Parameter<T>& parameter) {
  return parameter.key;
}

/// Fills the shard: normal weights that depend on run seed, key and index in the full tensor alone. Matrices have
/// deviation 0.02, biases 0.02 around 0, normalisation weights 0.02 around 1, so that nothing vanishes by symmetry.
template <class T>
void Initialise(std::uint64_t seed, Parameter<T>& parameter);

/// A 64-bit hash of text (FNV-1a) mixed with a seed.
std::uint64_t SeedOf(std::uint64_t seed, const std::string& text);

}  // namespace isochrone::executor
