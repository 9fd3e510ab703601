#include "kernels/cuda/optimizer.cuh"

#include <cmath>

namespace isochrone::kernels::cuda {
namespace {

unsigned BlocksOf(Index n) { return static_cast<unsigned>((n + kBlockElements - 1) / kBlockElements); }

/// Calls launch(table, blocks, blocks before) for every kTableSize tensors that are not empty.
template <class Entry, class Body>
void ForTables(std::span<const Entry> entries, Body launch) {
  TensorTable<Entry> table;
  unsigned blocks = 0;
  Index before = 0;
  const auto flush = [&] {
    if (table.count > 0) launch(table, blocks, before);
    before += blocks;
    table.count = 0;
    blocks = 0;
  };
  for (const Entry& e : entries) {
    if (e.n == 0) continue;
    table.entry[table.count] = e;
    table.first_block[table.count++] = blocks;
    blocks += BlocksOf(e.n);
    table.first_block[table.count] = blocks;
    if (table.count == kTableSize) flush();
  }
  flush();
}

}  // namespace

void AdamW(Stream stream, Index step, const AdamWOptions& o, const float* gradient_scale,
           std::span<const TensorUpdate> tensors) {
  const double t = static_cast<double>(step);
  const AdamWFactors factors{.keep = static_cast<float>(1 - o.learning_rate * o.weight_decay),
                             .rate = static_cast<float>(o.learning_rate / (1 - std::pow(o.beta1, t))),
                             .root = static_cast<float>(1 / std::sqrt(1 - std::pow(o.beta2, t))),
                             .beta1 = static_cast<float>(o.beta1),
                             .rest1 = static_cast<float>(1 - o.beta1),
                             .beta2 = static_cast<float>(o.beta2),
                             .rest2 = static_cast<float>(1 - o.beta2),
                             .epsilon = static_cast<float>(o.epsilon)};
  ForTables(tensors, [&](const TensorTable<TensorUpdate>& table, unsigned blocks, Index) {
    ISO_LAUNCH(AdamWKernel, blocks, kTableThreads, 0, stream, table, factors, gradient_scale);
  });
}

Index SquaredNormWorkspace(std::span<const TensorPart> parts) {
  Index blocks = 0;
  for (const TensorPart& p : parts) blocks += BlocksOf(p.n);
  return blocks;
}

void SquaredNorm(Stream stream, std::span<const TensorPart> parts, double* sum, double* workspace) {
  ForTables(parts, [&](const TensorTable<TensorPart>& table, unsigned blocks, Index before) {
    ISO_LAUNCH(SquaredNormKernel, blocks, kTableThreads, 0, stream, table, before, workspace);
  });
  ISO_LAUNCH(AddPartsKernel, 1, kTableThreads, 0, stream, SquaredNormWorkspace(parts), workspace, sum);
}

void ClipFactor(Stream stream, const double* squared_norm, double max_norm, float* factor) {
  ISO_LAUNCH(ClipFactorKernel, 1, 1, 0, stream, squared_norm, max_norm, factor);
}

void AddSum(Stream stream, Index n, const float* x, double weight, double* total) {
  ISO_LAUNCH(AddSumKernel, 1, kTableThreads, 0, stream, n, x, weight, total);
}

}  // namespace isochrone::kernels::cuda
