#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "executor/memory.h"
#include "executor/positions.h"
#include "executor/routing.h"
#include "kernels/activation.h"
#include "kernels/types.h"
#include "plan/program.h"
#include "plan/scenario.h"

namespace isochrone::executor {

/// Where the rows of a microbatch lie in the whole batch, for what depends on positions.
struct RowsAt {
  Index first_sequence = 0;  // of this microbatch, in the global batch
  Index first_row = 0;       // of this rank's rows (sequence parallelism) among the microbatch's tokens
  int tensor_rank = 0, tensor_size = 1;
  int context_rank = 0, context_size = 1;
};

/// What every op of a step shares.
template <class T>
struct OpSettings {
  const plan::Model* model = nullptr;
  const plan::Strategy* strategy = nullptr;
  Positions positions;      // of this rank
  double token_weight = 0;  // what one token's loss counts: 1 / tokens of the step
  std::uint64_t seed = 0;
  std::vector<T> cosine, sine;  // of this rank's rotary positions (S, D/2)
};

/// One op on its buffers, in the order that plan/tape.h documents.
template <class T>
struct Operands {
  const plan::Op* op = nullptr;
  const plan::LayerProgram* program = nullptr;
  const OpSettings<T>* settings = nullptr;
  RowsAt rows;
  std::uint64_t stream = 0;          // of random numbers: layer, op and step
  bool backward = false;             // the op belongs to a backward pass
  const Routing* routing = nullptr;  // of this microbatch, where the model has experts
  std::vector<void*> in, out;
  std::vector<bool> fresh;   // [out] made for this op; else another op of the pass has written part of it
  Memory* memory = nullptr;  // for workspaces of kernels

  const T* In(std::size_t i) const { return static_cast<const T*>(in.at(i)); }
  const std::int32_t* Ids(std::size_t i) const { return static_cast<const std::int32_t*>(in.at(i)); }
  T* Out(std::size_t i) const { return static_cast<T*>(out.at(i)); }
  const plan::Buffer& InBuffer(std::size_t i) const { return program->buffers[static_cast<std::size_t>(op->in.at(i))]; }
  const plan::Buffer& OutBuffer(std::size_t i) const {
    return program->buffers[static_cast<std::size_t>(op->out.at(i))];
  }
};

/// Carries out a compute op. Collectives, messages and the step's own ops are the rank's business (rank.h).
/// Throws Error for an op that the CPU has no arithmetic for.
template <class T>
void Compute(const Operands<T>& operands);

template <class T>
void ComputeElementwise(const plan::Elementwise& op, const Operands<T>& operands);
template <class T>
void ComputeAttention(const plan::Attention& op, const Operands<T>& operands);
/// The batched products of unfused attention.
template <class T>
void ComputeAttentionProduct(const plan::Gemm& op, const Operands<T>& operands);
template <class T>
void ComputeSoftmax(const plan::Softmax& op, const Operands<T>& operands);

// Over context ranks: attention against one block of keys (ring) or all (gathered), and the merge of two results.
template <class T>
void ComputeContextAttention(const plan::Attention& op, const Operands<T>& operands);
template <class T>
void ComputeAttentionMerge(const Operands<T>& operands);
/// Copies `columns` of every row between arrays of different row lengths.
template <class T>
void CopyColumns(Index rows, Index columns, const T* from, Index from_pitch, T* to, Index to_pitch);

// Experts.
template <class T>
void ComputeRoute(const plan::Route& op, const Operands<T>& operands);
template <class T>
void ComputePermute(const plan::Permute& op, const Operands<T>& operands);
template <class T>
void ComputeGrouped(const plan::GroupedGemm& op, const Operands<T>& operands);
template <class T>
void ComputeWeightedActivation(const plan::Elementwise& op, const Operands<T>& operands);

/// The kernel's name of an activation without gate, and of one with.
kernels::Activation ActivationOf(plan::ElementwiseKind kind);
kernels::Gate GateOf(plan::ElementwiseKind kind);

}  // namespace isochrone::executor
