// Attention over context ranks: one block of keys at a time (ring), or all keys gathered in the order of positions.
#include <cmath>
#include <cstdlib>
#include <cstring>

#include "base/error.h"
#include "executor/operands.h"
#include "kernels/attention.h"

namespace isochrone::executor {
namespace {

/// A number of queries against a number of keys of every sequence of the microbatch, where they start in their arrays.
struct Area {
  Index first_query = 0, queries = 0, first_key = 0, keys = 0;  // rows within one sequence
  bool causal = false;
  Index query_position = 0, key_position = 0;  // of the first ones, for the mask
};

/// Keys and values, and where: `pitch` elements between positions, `positions` of each sequence.
template <class T>
struct Keys {
  T *keys, *values;
  Index pitch, positions;
};

/// The index at the end of "attention.2".
Index StepOf(const std::string& name) { return std::atoll(name.c_str() + name.rfind('.') + 1); }

template <class T>
class ContextAttention {
 public:
  ContextAttention(const plan::Attention& a, const Operands<T>& o)
      : a_(a),
        o_(o),
        S_(o.settings->positions.Local()),
        packed_((a.heads + 2 * a.kv_heads) * a.qk_dim),
        scale_(static_cast<T>(1 / std::sqrt(static_cast<double>(a.qk_dim)))) {
    if (a.window > 0) {
      throw Error("op " + o.op->name, "the CPU does not run windows over context ranks", "use context_form ulysses");
    }
  }

  void Run() const {
    const bool ring = o_.settings->strategy->context_form == plan::ContextForm::kRing;
    if (a_.pass == plan::Pass::kForward) return Forward(ring);
    Backward(ring);
  }

 private:
  static T* Mutable(const T* p) { return const_cast<T*>(p); }
  Index KeyAt() const { return a_.heads * a_.qk_dim; }
  Index ValueAt() const { return (a_.heads + a_.kv_heads) * a_.qk_dim; }
  Keys<T> Own(T* qkv) const { return {qkv + KeyAt(), qkv + ValueAt(), packed_, S_}; }
  Keys<T> Block(T* block, Index positions) const {
    return {block, block + a_.kv_heads * a_.qk_dim, 2 * a_.kv_heads * a_.qk_dim, positions};
  }

  /// The part of the scores that this op of a ring stands for. A block of an earlier rank shows its early half to all
  /// queries, one of a later rank all of itself to the late half of them.
  Area RingArea() const {
    const Index step = StepOf(o_.op->name), ranks = o_.rows.context_size, rank = o_.rows.context_rank, half = S_ / 2;
    if (step == 0 || !o_.settings->model->causal) {
      return {.queries = S_, .keys = S_, .causal = step == 0 && o_.settings->model->causal};
    }
    const Index from = (rank - step + ranks) % ranks;
    if (from < rank) return {.queries = S_, .keys = half};
    return {.first_query = half, .queries = half, .keys = S_};
  }
  Area GatherArea() const {
    const std::vector<PositionRun>& runs = o_.settings->positions.Runs();
    const Index all = o_.settings->positions.Whole();
    if (!o_.settings->model->causal) return {.queries = S_, .keys = all};
    const PositionRun& run = runs.at(static_cast<std::size_t>(StepOf(o_.op->name)));
    return {.first_query = run.local,
            .queries = run.length,
            .keys = run.whole + run.length,
            .causal = true,
            .query_position = run.whole};
  }

  kernels::AttentionShape ShapeOf(const Area& area, const Keys<T>& k) const {
    return {.batch = 1,
            .queries = area.queries,
            .keys = area.keys,
            .heads = a_.heads,
            .kv_heads = a_.kv_heads,
            .head_size = a_.qk_dim,
            .query_pitch = packed_,
            .key_pitch = k.pitch};
  }
  kernels::AttentionMask MaskOf(const Area& area) const {
    return {.causal = area.causal, .first_query = area.query_position, .first_key = area.key_position};
  }
  Memory::Handle WorkspaceOf(const kernels::AttentionShape& shape) const {
    return o_.memory->Allocate(plan::BufferKind::kWorkspace,
                               static_cast<std::size_t>(kernels::AttentionWorkspace<T>(shape)) * sizeof(T),
                               "attention");
  }

  void Forward(bool ring) const {
    T *qkv = Mutable(o_.In(0)), *out = o_.Out(0), *lse = o_.Out(1);
    const bool own = o_.in.size() == 1;
    const Keys<T> k = own ? Own(qkv) : Block(Mutable(o_.In(1)), ring ? S_ : o_.settings->positions.Whole());
    const Area area = ring ? RingArea() : GatherArea();
    const kernels::AttentionShape shape = ShapeOf(area, k);
    const Memory::Handle workspace = WorkspaceOf(shape);
    const Index row = a_.heads * a_.v_dim;
    for (Index b = 0; b < a_.batch; ++b) {
      if (ring && area.first_query > 0) {  // queries that see nothing of this block
        const Index n = area.first_query;
        std::fill_n(out + b * S_ * row, n * row, T(0));
        std::fill_n(lse + b * S_ * a_.heads, n * a_.heads, -std::numeric_limits<T>::infinity());
      }
      const Index q = b * S_ + area.first_query, at = (b * k.positions + area.first_key) * k.pitch;
      kernels::Attention<T>(shape, MaskOf(area), scale_, qkv + q * packed_, k.keys + at, k.values + at, out + q * row,
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
    const Area area = ring ? RingArea() : GatherArea();
    // The kernel gives keys and their gradients one pitch: its own block is copied out of qkv.
    const Memory::Handle copy = own ? Copied(qkv) : nullptr;
    const Keys<T> dense = own ? Block(copy->template As<T>(), S_) : k;
    const kernels::AttentionShape shape = ShapeOf(area, dense);
    const Memory::Handle workspace = WorkspaceOf(shape);
    const Index row = a_.heads * a_.v_dim;
    for (Index b = 0; b < a_.batch; ++b) {
      const Index q = b * S_ + area.first_query, at = (b * dense.positions + area.first_key) * dense.pitch;
      kernels::AttentionBackward<T>(shape, MaskOf(area), scale_, qkv + q * packed_, dense.keys + at, dense.values + at,
                                    out + q * row, lse + q * a_.heads, dout + q * row, dqkv + q * packed_, dk.keys + at,
                                    dk.values + at, workspace->As<T>());
    }
  }

  Memory::Handle Copied(const T* qkv) const {
    const Index width = 2 * a_.kv_heads * a_.qk_dim, rows = a_.batch * S_;
    Memory::Handle copy = o_.memory->Allocate(plan::BufferKind::kWorkspace,
                                              static_cast<std::size_t>(rows * width) * sizeof(T), "own keys");
    CopyColumns<T>(rows, width, qkv + KeyAt(), packed_, copy->As<T>(), width);
    return copy;
  }

  const plan::Attention& a_;
  const Operands<T>& o_;
  Index S_, packed_;
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
