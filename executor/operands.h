#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <functional>
#include <vector>

#include "executor/memory.h"
#include "executor/positions.h"
#include "executor/routing.h"
#include "executor/rows.h"
#include "executor/workers.h"
#include "kernels/activation.h"
#include "kernels/types.h"
#include "kernels/vector.h"
#include "plan/program.h"
#include "plan/scenario.h"

namespace isochrone::executor {

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
  std::vector<bool> fresh;     // [out] made for this op; else another op of the pass has written part of it
  Memory* memory = nullptr;    // for workspaces of kernels
  Workers* workers = nullptr;  // the rank's threads

  const T* In(std::size_t i) const { return static_cast<const T*>(in.at(i)); }
  const std::int32_t* Ids(std::size_t i) const { return static_cast<const std::int32_t*>(in.at(i)); }
  T* Out(std::size_t i) const { return static_cast<T*>(out.at(i)); }
  const plan::Buffer& InBuffer(std::size_t i) const { return program->buffers[static_cast<std::size_t>(op->in.at(i))]; }
  const plan::Buffer& OutBuffer(std::size_t i) const {
    return program->buffers[static_cast<std::size_t>(op->out.at(i))];
  }
  /// Memory of a kernel's own for the time of this op.
  Memory::Handle Workspace(Index elements) const {
    return memory->Allocate(plan::BufferKind::kWorkspace, static_cast<std::size_t>(elements) * sizeof(T), op->name);
  }
};

inline constexpr double kNormEpsilon = 1e-5;  // as PyTorch and Megatron-LM default to

/// Fewest rows of a part that is worth a thread: it takes some microseconds, where a thread takes one to come.
inline Index LeastRows(Index columns) { return 16384 / std::max<Index>(columns, 1) + 1; }

/// Rows in parts, of which each adds to `width` sums: body(begin, end, sums of the part). What the first part adds goes
/// to `sums`; the others have arrays of their own, which are added to them at the end.
template <class T, std::size_t N, class Body>
void SplitSums(const Operands<T>& o, Index rows, Index width, const std::array<T*, N>& sums, Body body);

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

// Mamba-2 mixers.
template <class T>
void ComputeCausalConvolution(const plan::Convolution& op, const Operands<T>& operands);
template <class T>
void ComputeScan(const plan::Scan& op, const Operands<T>& operands);
template <class T>
void ComputeGatedNorm(const plan::Elementwise& op, const Operands<T>& operands);

/// The kernel's name of an activation without gate, and of one with.
kernels::Activation ActivationOf(plan::ElementwiseKind kind);
kernels::Gate GateOf(plan::ElementwiseKind kind);

template <class T, std::size_t N, class Body>
void SplitSums(const Operands<T>& o, Index rows, Index width, const std::array<T*, N>& sums, Body body) {
  const Index least = LeastRows(width), of_all = static_cast<Index>(N) * width;
  const Index apart = (o.workers->PartsOf(rows, least) - 1) * of_all;
  const Memory::Handle block = apart > 0 ? o.Workspace(apart) : Memory::Handle();
  T* others = apart > 0 ? block->template As<T>() : nullptr;
  if (apart > 0) std::memset(others, 0, static_cast<std::size_t>(apart) * sizeof(T));
  o.workers->Split(rows, least, [&](Index begin, Index end, int part) {
    std::array<T*, N> mine = sums;
    for (std::size_t i = 0; part > 0 && i < N; ++i)
      mine[i] = others + (part - 1) * of_all + static_cast<Index>(i) * width;
    body(begin, end, mine);
  });
  for (Index at = 0; at < apart; at += width) {
    T* sum = sums[static_cast<std::size_t>(at / width) % N];
    kernels::Add<T>(width, sum, others + at, sum);
  }
}

}  // namespace isochrone::executor
