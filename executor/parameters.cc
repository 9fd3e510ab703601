#include "executor/parameters.h"

#include "base/error.h"
#include "kernels/initialise.h"

namespace isochrone::executor {
namespace {

constexpr double kDeviation = 0.02;  // Radford et al., "Language models are unsupervised multitask learners", 2019

bool StartsWith(const std::string& text, const std::string& start) { return text.rfind(start, 0) == 0; }
bool EndsWith(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

/// Blocks of rows of the full tensor that are split over tensor ranks each on their own.
std::vector<Index> RowBlocks(const plan::Model& m, const std::string& name, Index full_rows) {
  if (StartsWith(name, "qkv.")) return {m.heads * m.head_dim, m.kv_heads * m.head_dim, m.kv_heads * m.head_dim};
  const bool gated = m.mlp == plan::MlpKind::kSwiglu || m.mlp == plan::MlpKind::kGeglu;
  if (name.find("fc1.") != std::string::npos && gated) return {full_rows / 2, full_rows / 2};
  if (m.mamba && (StartsWith(name, "mixer.in.") || StartsWith(name, "convolution."))) {
    const Index inner = m.mamba->expand * m.hidden, states = Index{m.mamba->groups} * m.mamba->state;
    if (StartsWith(name, "convolution.")) return {inner, states, states};
    return {inner, inner, states, states, inner / m.mamba->head_dim};  // gate, x, B, C, steps
  }
  return {full_rows};
}

/// Rows and columns of one matrix, cut along `axis` (-1: not), as pieces from `local_row` on; the full matrix starts at
/// element `origin` of the full tensor.
void AddMatrix(const std::vector<Index>& blocks, Index columns, Index full_columns, int axis, int rank, int size,
               Index local_row, Index origin, std::vector<Piece>& pieces) {
  Index full = 0;
  for (const Index block : blocks) {
    const Index mine = axis == 0 ? block / size : block;
    const Index first = (full + (axis == 0 ? rank * mine : 0)) * full_columns + (axis == 1 ? rank * columns : 0);
    pieces.push_back({local_row, {mine, columns, origin + first, full_columns}});
    local_row += mine;
    full += block;
  }
}

}  // namespace

std::uint64_t SeedOf(std::uint64_t seed, const std::string& text) {
  std::uint64_t hash = 14695981039346656037ull ^ (seed * 0x9e3779b97f4a7c15ull);
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ull;
  return hash;
}

template <class T>
Index Parameter<T>::FullIndex(Index i) const {
  const Index row = i / columns, column = i % columns;
  for (const Piece& p : pieces) {
    if (row >= p.local_row && row < p.local_row + p.of_full.rows)
      return p.of_full.first + (row - p.local_row) * p.of_full.pitch + column;
  }
  ISO_CHECK_NOTE(false, key);
  return 0;
}

template <class T>
Parameter<T> ShardOf(const plan::Model& model, const plan::Buffer& b, int layer, const CutAt& at) {
  Parameter<T> p;
  p.key = layer >= 0 ? "layer." + std::to_string(layer) + "." + b.name : b.name;
  p.expert = b.expert;
  const Index matrices = b.expert ? b.shape.front() : 1;
  const std::vector<std::int64_t> shape(b.shape.begin() + (b.expert ? 1 : 0), b.shape.end());
  const int axis = b.expert ? b.sharded_axis - 1 : b.sharded_axis;
  const int rank = b.expert ? at.expert_tensor_rank : at.tensor_rank,
            size = b.expert ? at.expert_tensor_size : at.tensor_size;
  const Index rows = shape.front(), full_rows = rows * (axis == 0 ? size : 1);
  p.columns = shape.size() > 1 ? shape.back() : 1;
  p.rows = matrices * rows;
  p.decays = shape.size() > 1;
  p.partial_over_tensor = b.partial_over_tensor;
  p.sharded = axis >= 0 && size > 1;
  p.full_columns = p.columns * (axis == 1 ? size : 1);
  p.full_rows = full_rows * (b.expert ? at.expert_count : 1);
  const std::vector<Index> blocks = RowBlocks(model, b.name, full_rows);
  for (Index e = 0; e < matrices; ++e) {
    const Index which = b.expert ? at.experts[static_cast<std::size_t>(e)] : 0;
    AddMatrix(blocks, p.columns, p.full_columns, axis, rank, size, e * rows, which * full_rows * p.full_columns,
              p.pieces);
  }
  const Piece& last = p.pieces.back();
  ISO_CHECK_NOTE(last.local_row + last.of_full.rows == p.rows, p.key);
  return p;
}

template <class T>
void Initialise(std::uint64_t seed, Parameter<T>& p) {
  const bool scale = EndsWith(p.key, "norm.weight");
  for (const Piece& piece : p.pieces) {
    kernels::InitialiseNormal<T>(SeedOf(seed, p.key), piece.of_full, scale ? 1 : 0, kDeviation,
                                 p.value->template As<T>() + piece.local_row * p.columns);
  }
}

template <class T>
void TieTable(const plan::Model& model, bool on_several_stages, const plan::Buffer& buffer, Parameter<T>& p) {
  const bool head = buffer.name == "logits.weight";
  if (!model.tied_embeddings || (!head && buffer.name != "embedding.weight")) return;
  p.tied = on_several_stages;
  if (!head) return;
  p.key = "embedding.weight";
  p.counts = false;
}

#define ISO_PARAMETERS(T)                                                                             \
  template struct Parameter<T>;                                                                       \
  template Parameter<T> ShardOf<T>(const plan::Model&, const plan::Buffer&, int layer, const CutAt&); \
  template void TieTable<T>(const plan::Model&, bool, const plan::Buffer&, Parameter<T>&);            \
  template void Initialise<T>(std::uint64_t, Parameter<T>&);
ISO_PARAMETERS(float)
ISO_PARAMETERS(double)

}  // namespace isochrone::executor
