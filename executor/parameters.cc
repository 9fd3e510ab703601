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
  if (StartsWith(name, "fc1.") && gated) return {full_rows / 2, full_rows / 2};
  return {full_rows};
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
Parameter<T> ShardOf(const plan::Model& model, const plan::Buffer& b, int layer, int rank, int size) {
  Parameter<T> p;
  p.key = layer >= 0 ? "layer." + std::to_string(layer) + "." + b.name : b.name;
  p.rows = b.shape.front();
  p.columns = b.shape.size() > 1 ? b.shape.back() : 1;
  p.decays = b.shape.size() > 1;
  p.partial_over_tensor = b.partial_over_tensor;
  p.sharded = b.sharded_axis >= 0 && size > 1;
  p.full_rows = p.rows * (b.sharded_axis == 0 ? size : 1);
  p.full_columns = p.columns * (b.sharded_axis == 1 ? size : 1);
  if (b.sharded_axis != 0) {
    p.pieces = {{0, {p.rows, p.columns, b.sharded_axis == 1 ? rank * p.columns : 0, p.full_columns}}};
    return p;
  }
  Index local = 0, full = 0;
  for (const Index block : RowBlocks(model, b.name, p.full_rows)) {
    const Index mine = block / size;
    p.pieces.push_back({local, {mine, p.columns, (full + rank * mine) * p.full_columns, p.full_columns}});
    local += mine;
    full += block;
  }
  ISO_CHECK_NOTE(local == p.rows && full == p.full_rows, p.key);
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

#define ISO_PARAMETERS(T)                                                                              \
  template struct Parameter<T>;                                                                        \
  template Parameter<T> ShardOf<T>(const plan::Model&, const plan::Buffer&, int layer, int rank, int); \
  template void Initialise<T>(std::uint64_t, Parameter<T>&);
ISO_PARAMETERS(float)
ISO_PARAMETERS(double)

}  // namespace isochrone::executor
