// Attention over context ranks: one block of keys at a time (ring), or all keys gathered in the order of positions.
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "executor/operands.h"
#include "executor/packed_heads.h"
#include "kernels/attention.h"

namespace isochrone::executor {
namespace {

/// Keys and values, and where: `pitch` elements between positions, `positions` of each sequence.
template <class T>
struct Keys {
  T *keys, *values;
  Index pitch, positions;
};

template <class T>
class ContextAttention {
 public:
  ContextAttention(const plan::Attention& a, const Operands<T>& o)
      : a_(a),
        o_(o),
        S_(o.settings->positions.Local()),
        heads_(HeadsOf(a)),
        packed_(heads_.Packed()),
        scale_(static_cast<T>(1 / std::sqrt(static_cast<double>(a.qk_dim)))) {
    ISO_CHECK(a.window == 0);  // executor/supported.h
  }

  void Run() const {
    const bool ring = o_.settings->strategy->context_form == plan::ContextForm::kRing;
    if (a_.pass == plan::Pass::kForward) return Forward(ring);
    Backward(ring);
  }

 private:
  static T* Mutable(const T* p) { return const_cast<T*>(p); }
  Keys<T> Own(T* qkv) const { return {qkv + heads_.KeyAt(), qkv + heads_.ValueAt(), packed_, S_}; }
  Keys<T> Block(T* block, Index positions) const {
    return {block, block + heads_.key * heads_.size, heads_.PackedKeys(), positions};
  }

  AttentionArea Area() const {
    const OpSettings<T>& all = *o_.settings;
    return AreaOf(*o_.op, *all.model, *all.strategy, all.positions, o_.rows.context_rank);
  }
  Memory::Handle WorkspaceOf(const kernels::AttentionShape& shape) const {
    return o_.Workspace(kernels::AttentionWorkspace<T>(shape));
  }

  void Forward(bool ring) const {
    T *qkv = Mutable(o_.In(0)), *out = o_.Out(0), *lse = o_.Out(1);
    const bool own = o_.in.size() == 1;
    const Keys<T> k = own ? Own(qkv) : Block(Mutable(o_.In(1)), ring ? S_ : o_.settings->positions.Whole());
    const AttentionArea area = Area();
    const kernels::AttentionShape shape = heads_.Shape(1, area.queries, area.keys, k.pitch);
    const Memory::Handle workspace = WorkspaceOf(shape);
    const Index row = a_.heads * a_.v_dim;
    for (Index b = 0; b < a_.batch; ++b) {
      if (ring && area.first_query > 0) {  // queries that see nothing of this block
        const Index n = area.first_query;
        std::fill_n(out + b * S_ * row, n * row, T(0));
        std::fill_n(lse + b * S_ * a_.heads, n * a_.heads, -std::numeric_limits<T>::infinity());
      }
      const Index q = b * S_ + area.first_query, at = (b * k.positions + area.first_key) * k.pitch;
      kernels::Attention<T>(shape, area.mask, scale_, qkv + q * packed_, k.keys + at, k.values + at, out + q * row,
                            lse + q * a_.heads, workspace->As<T>());
    }
  }

  void Backward(bool ring) const {
    const T *dout = o_.In(0), *out = o_.In(2), *lse = o_.In(3);
    T *qkv = Mutable(o_.In(1)), *dqkv = o_.Out(0), *dblock = o_.Out(1);
    const Index whole = ring ? S_ : o_.settings->positions.Whole();
    const bool own = o_.in.size() == 4;
    const Keys<T> k = own ? Own(qkv) : Block(Mutable(o_.In(4)), whole);
    const Keys<T> dk = Block(dblock, whole);
    if (o_.fresh.at(0)) std::memset(dqkv, 0, static_cast<std::size_t>(a_.batch * S_ * packed_) * sizeof(T));
    if (o_.fresh.at(1)) std::memset(dblock, 0, static_cast<std::size_t>(a_.batch * whole * dk.pitch) * sizeof(T));
    const AttentionArea area = Area();
    // The kernel gives keys and their gradients one pitch: its own block is copied out of qkv.
    const Memory::Handle copy = own ? Copied(qkv) : nullptr;
    const Keys<T> dense = own ? Block(copy->template As<T>(), S_) : k;
    const kernels::AttentionShape shape = heads_.Shape(1, area.queries, area.keys, dense.pitch);
    const Memory::Handle workspace = WorkspaceOf(shape);
    const Index row = a_.heads * a_.v_dim;
    for (Index b = 0; b < a_.batch; ++b) {
      const Index q = b * S_ + area.first_query, at = (b * dense.positions + area.first_key) * dense.pitch;
      kernels::AttentionBackward<T>(shape, area.mask, scale_, qkv + q * packed_, dense.keys + at, dense.values + at,
                                    out + q * row, lse + q * a_.heads, dout + q * row, dqkv + q * packed_, dk.keys + at,
                                    dk.values + at, workspace->As<T>());
    }
  }

  Memory::Handle Copied(const T* qkv) const {
    const Index width = heads_.PackedKeys(), rows = a_.batch * S_;
    Memory::Handle copy = o_.Workspace(rows * width);
    CopyColumns<T>(rows, width, qkv + heads_.KeyAt(), packed_, copy->As<T>(), width);
    return copy;
  }

  const plan::Attention& a_;
  const Operands<T>& o_;
  Index S_;
  PackedHeads heads_;
  Index packed_;
  T scale_;
};

}  // namespace

template <class T>
void CopyColumns(Index rows, Index columns, const T* from, Index from_pitch, T* to, Index to_pitch) {
  for (Index r = 0; r < rows; ++r)
    std::memcpy(to + r * to_pitch, from + r * from_pitch, static_cast<std::size_t>(columns) * sizeof(T));
}

template <class T>
void ComputeContextAttention(const plan::Attention& a, const Operands<T>& o) {
  ContextAttention<T>(a, o).Run();
}

/// Two partial results become one: in = out, part, lse, part_lse.
template <class T>
void ComputeAttentionMerge(const Operands<T>& o) {
  const Index D = o.settings->model->head_dim, rows = static_cast<Index>(o.InBuffer(0).Elements()) / D;
  std::memcpy(o.Out(0), o.In(0), static_cast<std::size_t>(rows * D) * sizeof(T));
  std::memcpy(o.Out(1), o.In(2), static_cast<std::size_t>(rows) * sizeof(T));
  kernels::MergeAttention<T>(rows, D, o.Out(0), o.Out(1), o.In(1), o.In(3));
}

#define ISO_CONTEXT(T)                                                                  \
  template void CopyColumns<T>(Index, Index, const T*, Index, T*, Index);               \
  template void ComputeContextAttention<T>(const plan::Attention&, const Operands<T>&); \
  template void ComputeAttentionMerge<T>(const Operands<T>&);
ISO_CONTEXT(float)
ISO_CONTEXT(double)

}  // namespace isochrone::executor
