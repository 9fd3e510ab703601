// Compute ops on the CPU, each one call (or a few) into kernels/.
#include <cstring>

#include "base/error.h"
#include "executor/operands.h"
#include "kernels/bias.h"
#include "kernels/cross_entropy.h"
#include "kernels/embedding.h"
#include "kernels/gemm.h"
#include "kernels/layer_norm.h"
#include "kernels/rms_norm.h"
#include "kernels/vector.h"

namespace isochrone::executor {
namespace {

using kernels::Transpose;

/// C = op(A) op(B) + beta C by the rank's threads: each a part of the longer side of C.
template <class T>
void SplitGemm(const Operands<T>& o, Transpose a_form, Transpose b_form, const plan::Gemm& g, const T* a, const T* b,
               T beta, T* c) {
  constexpr Index kLeast = 16;  // rows or columns, below which OpenBLAS has no full tiles
  const Index lda = a_form == Transpose::kYes ? g.m : g.k, ldb = b_form == Transpose::kYes ? g.k : g.n;
  const bool rows = g.m >= g.n;
  o.workers->Split(rows ? g.m : g.n, kLeast, [&](Index begin, Index end, int) {
    if (rows) {
      const T* from = a + (a_form == Transpose::kYes ? begin : begin * lda);
      kernels::Gemm<T>(a_form, b_form, end - begin, g.n, g.k, 1, from, lda, b, ldb, beta, c + begin * g.n, g.n);
    } else {
      const T* from = b + (b_form == Transpose::kYes ? begin * ldb : begin);
      kernels::Gemm<T>(a_form, b_form, g.m, end - begin, g.k, 1, a, lda, from, ldb, beta, c + begin, g.n);
    }
  });
}

template <class T>
class Computer {
 public:
  explicit Computer(const Operands<T>& operands) : o_(operands) {}

  void operator()(const plan::Gemm& g) const {
    switch (g.role) {
      case plan::GemmRole::kLinear:
        SplitGemm<T>(o_, Transpose::kNo, Transpose::kYes, g, o_.In(0), o_.In(1), 0, o_.Out(0));
        if (o_.in.size() < 3) return;
        return o_.workers->Split(g.m, LeastRows(g.n), [&](Index begin, Index end, int) {
          T* rows = o_.Out(0) + begin * g.n;
          kernels::AddBias<T>(end - begin, g.n, rows, o_.In(2), rows);
        });
      case plan::GemmRole::kLinearGradInput:
        return SplitGemm<T>(o_, Transpose::kNo, Transpose::kNo, g, o_.In(0), o_.In(1), 0, o_.Out(0));
      case plan::GemmRole::kLinearGradWeight:
        return SplitGemm<T>(o_, Transpose::kYes, Transpose::kNo, g, o_.In(0), o_.In(1), g.accumulate ? T(1) : T(0),
                            o_.Out(0));
      default:
        return ComputeAttentionProduct<T>(g, o_);
    }
  }
  void operator()(const plan::Attention& a) const {
    const bool parts = o_.rows.context_size > 1 && o_.settings->strategy->context_form != plan::ContextForm::kUlysses;
    parts ? ComputeContextAttention<T>(a, o_) : ComputeAttention<T>(a, o_);
  }
  void operator()(const plan::Softmax& s) const { ComputeSoftmax<T>(s, o_); }
  void operator()(const plan::Elementwise& e) const { ComputeElementwise<T>(e, o_); }

  void operator()(const plan::Normalization& n) const {
    n.pass == plan::Pass::kForward ? Normalise(n) : NormaliseBackward(n);
  }

  void operator()(const plan::Embedding& e) const {
    const Index first = e.rows * o_.rows.tensor_rank;
    if (e.pass == plan::Pass::kForward) {
      kernels::Embedding<T>(e.tokens, e.hidden, first, first + e.rows, o_.Ids(0), o_.In(1), o_.Out(0));
    } else {
      kernels::EmbeddingBackward<T>(e.tokens, e.hidden, first, first + e.rows, o_.Ids(1), o_.In(0), o_.Out(0));
    }
  }

  /// Forward keeps the shard's logits and its statistics (maximum, sum, target logit); with those of the whole
  /// vocabulary, backward has the softmax.
  void operator()(const plan::CrossEntropy& c) const {
    const Index first = c.columns * o_.rows.tensor_rank;
    o_.workers->Split(c.tokens, LeastRows(c.columns), [&](Index begin, Index end, int) {
      const Index rows = end - begin, at = begin * c.columns;
      const std::int32_t* targets = o_.Ids(1) + begin;
      if (c.pass == plan::Pass::kForward) {
        T* maximum = o_.Out(0) + begin;
        kernels::LogitMax<T>(rows, c.columns, o_.In(0) + at, maximum);
        kernels::LogitSums<T>(rows, c.columns, first, o_.In(0) + at, targets, maximum, maximum + c.tokens,
                              maximum + 2 * c.tokens);
        std::memcpy(o_.Out(1) + at, o_.In(0) + at, static_cast<std::size_t>(rows * c.columns) * sizeof(T));
        return;
      }
      const T* maximum = o_.In(2) + begin;
      const std::vector<T> weight(static_cast<std::size_t>(rows), static_cast<T>(o_.settings->token_weight));
      kernels::CrossEntropyGradient<T>(rows, c.columns, first, o_.In(0) + at, targets, maximum, maximum + c.tokens,
                                       weight.data(), o_.Out(0) + at);
    });
  }

  void operator()(const plan::GroupedGemm& g) const { ComputeGrouped<T>(g, o_); }
  void operator()(const plan::Route& r) const { ComputeRoute<T>(r, o_); }
  void operator()(const plan::Permute& p) const { ComputePermute<T>(p, o_); }
  void operator()(const plan::Scan& s) const { ComputeScan<T>(s, o_); }
  void operator()(const plan::Convolution& c) const {
    if (c.channels_out > 0) Missing("convolutions of two dimensions");
    ComputeCausalConvolution<T>(c, o_);
  }
  void operator()(const plan::Recurrent&) const { Missing("recurrent layers"); }
  void operator()(const plan::Transfer&) const { Missing("transfers to host memory"); }
  void operator()(const plan::Message&) const { Missing("messages inside a layer"); }
  void operator()(const plan::Collective&) const { ISO_CHECK_NOTE(false, o_.op->name); }
  void operator()(const plan::OptimizerUpdate&) const { ISO_CHECK_NOTE(false, o_.op->name); }
  void operator()(const plan::GradientNorm&) const { ISO_CHECK_NOTE(false, o_.op->name); }

 private:
  static constexpr T kEpsilon = T(kNormEpsilon);

  void Normalise(const plan::Normalization& n) const {
    T *mean = o_.Out(1), *deviation = mean + (n.kind == plan::NormKind::kLayer ? n.rows : 0);
    o_.workers->Split(n.rows, LeastRows(n.columns), [&](Index begin, Index end, int) {
      const Index rows = end - begin, at = begin * n.columns;
      if (n.kind == plan::NormKind::kLayer) {
        kernels::LayerNorm<T>(rows, n.columns, kEpsilon, o_.In(0) + at, o_.In(1), o_.In(2), o_.Out(0) + at,
                              mean + begin, deviation + begin);
      } else {
        kernels::RmsNorm<T>(rows, n.columns, kEpsilon, o_.In(0) + at, o_.In(1), o_.Out(0) + at, deviation + begin);
      }
    });
  }

  void NormaliseBackward(const plan::Normalization& n) const {
    const T *mean = o_.In(3), *deviation = mean + (n.kind == plan::NormKind::kLayer ? n.rows : 0);
    if (n.kind == plan::NormKind::kLayer) {
      const std::array<T*, 2> sums = {o_.Out(1), o_.Out(2)};
      return SplitSums<T>(o_, n.rows, n.columns, sums, [&](Index begin, Index end, const std::array<T*, 2>& mine) {
        const Index at = begin * n.columns;
        kernels::LayerNormBackward<T>(end - begin, n.columns, o_.In(1) + at, o_.In(2), mean + begin, deviation + begin,
                                      o_.In(0) + at, o_.Out(0) + at, mine[0], mine[1]);
      });
    }
    const std::array<T*, 1> sums = {o_.Out(1)};
    SplitSums<T>(o_, n.rows, n.columns, sums, [&](Index begin, Index end, const std::array<T*, 1>& mine) {
      const Index at = begin * n.columns;
      kernels::RmsNormBackward<T>(end - begin, n.columns, o_.In(1) + at, o_.In(2), deviation + begin, o_.In(0) + at,
                                  o_.Out(0) + at, mine[0]);
    });
  }

  [[noreturn]] void Missing(const char* what) const {
    throw Error("op " + o_.op->name + " of layer " + o_.program->name, std::string("the CPU does not run ") + what,
                "predict this model, or run one of transformer or Mamba-2 layers");
  }

  const Operands<T>& o_;
};

}  // namespace

template <class T>
void Compute(const Operands<T>& operands) {
  std::visit(Computer<T>(operands), operands.op->kind);
}

template void Compute<float>(const Operands<float>&);
template void Compute<double>(const Operands<double>&);

}  // namespace isochrone::executor
