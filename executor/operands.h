#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "executor/memory.h"
#include "kernels/types.h"
#include "plan/program.h"
#include "plan/scenario.h"

namespace isochrone::executor {

using kernels::Index;

/// Where the rows of a microbatch lie in the whole batch, for what depends on positions.
struct RowsAt {
  Index first_sequence = 0;  // of this microbatch, in the global batch
  Index first_row = 0;       // of this rank's rows (sequence parallelism) among the microbatch's tokens
  int tensor_rank = 0, tensor_size = 1;
};

/// What every op of a step shares.
template <class T>
struct OpSettings {
  const plan::Model* model = nullptr;
  Index positions = 0;      // S of this rank
  double token_weight = 0;  // what one token's loss counts: 1 / tokens of the step
  std::uint64_t seed = 0;
  std::vector<T> cosine, sine;  // of rotary positions (S, D/2)
};

/// One op on its buffers, in the order that plan/tape.h documents.
template <class T>
struct Operands {
  const plan::Op* op = nullptr;
  const plan::LayerProgram* program = nullptr;
  const OpSettings<T>* settings = nullptr;
  RowsAt rows;
  std::uint64_t stream = 0;  // of random numbers: layer, op and step
  std::vector<void*> in, out;
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

}  // namespace isochrone::executor
