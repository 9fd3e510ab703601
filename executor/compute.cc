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
constexpr double kEpsilon = 1e-5;  // of normalisation, as PyTorch and Megatron-LM default to

template <class T>
class Computer {
 public:
  explicit Computer(const Operands<T>& operands) : o_(operands) {}

  void operator()(const plan::Gemm& g) const {
    switch (g.role) {
      case plan::GemmRole::kLinear:
        kernels::Gemm<T>(Transpose::kNo, Transpose::kYes, g.m, g.n, g.k, 1, o_.In(0), g.k, o_.In(1), g.k, 0, o_.Out(0),
                         g.n);
        if (o_.in.size() > 2) kernels::AddBias<T>(g.m, g.n, o_.Out(0), o_.In(2), o_.Out(0));
        return;
      case plan::GemmRole::kLinearGradInput:
        kernels::Gemm<T>(Transpose::kNo, Transpose::kNo, g.m, g.n, g.k, 1, o_.In(0), g.k, o_.In(1), g.n, 0, o_.Out(0),
                         g.n);
        return;
      case plan::GemmRole::kLinearGradWeight:
        kernels::Gemm<T>(Transpose::kYes, Transpose::kNo, g.m, g.n, g.k, 1, o_.In(0), g.m, o_.In(1), g.n,
                         g.accumulate ? T(1) : T(0), o_.Out(0), g.n);
        return;
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
    const bool layer = n.kind == plan::NormKind::kLayer;
    const T epsilon = static_cast<T>(kEpsilon);
    if (n.pass == plan::Pass::kForward) {
      T* statistics = o_.Out(1);
      if (layer) {
        kernels::LayerNorm<T>(n.rows, n.columns, epsilon, o_.In(0), o_.In(1), o_.In(2), o_.Out(0), statistics,
                              statistics + n.rows);
      } else {
        kernels::RmsNorm<T>(n.rows, n.columns, epsilon, o_.In(0), o_.In(1), o_.Out(0), statistics);
      }
      return;
    }
    const T* statistics = o_.In(3);
    if (layer) {
      kernels::LayerNormBackward<T>(n.rows, n.columns, o_.In(1), o_.In(2), statistics, statistics + n.rows, o_.In(0),
                                    o_.Out(0), o_.Out(1), o_.Out(2));
    } else {
      kernels::RmsNormBackward<T>(n.rows, n.columns, o_.In(1), o_.In(2), statistics, o_.In(0), o_.Out(0), o_.Out(1));
    }
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
    if (c.pass == plan::Pass::kForward) {
      T* maximum = o_.Out(0);
      kernels::LogitMax<T>(c.tokens, c.columns, o_.In(0), maximum);
      kernels::LogitSums<T>(c.tokens, c.columns, first, o_.In(0), o_.Ids(1), maximum, maximum + c.tokens,
                            maximum + 2 * c.tokens);
      std::memcpy(o_.Out(1), o_.In(0), static_cast<std::size_t>(c.tokens * c.columns) * sizeof(T));
      return;
    }
    const T* maximum = o_.In(2);
    const std::vector<T> weight(static_cast<std::size_t>(c.tokens), static_cast<T>(o_.settings->token_weight));
    kernels::CrossEntropyGradient<T>(c.tokens, c.columns, first, o_.In(0), o_.Ids(1), maximum, maximum + c.tokens,
                                     weight.data(), o_.Out(0));
  }

  void operator()(const plan::GroupedGemm& g) const { ComputeGrouped<T>(g, o_); }
  void operator()(const plan::Route& r) const { ComputeRoute<T>(r, o_); }
  void operator()(const plan::Permute& p) const { ComputePermute<T>(p, o_); }
  void operator()(const plan::Scan&) const { Missing("state-space scans"); }
  void operator()(const plan::Convolution&) const { Missing("convolutions"); }
  void operator()(const plan::Recurrent&) const { Missing("recurrent layers"); }
  void operator()(const plan::Transfer&) const { Missing("transfers to host memory"); }
  void operator()(const plan::Message&) const { Missing("messages inside a layer"); }
  void operator()(const plan::Collective&) const { ISO_CHECK_NOTE(false, o_.op->name); }
  void operator()(const plan::OptimizerUpdate&) const { ISO_CHECK_NOTE(false, o_.op->name); }
  void operator()(const plan::GradientNorm&) const { ISO_CHECK_NOTE(false, o_.op->name); }

 private:
  [[noreturn]] void Missing(const char* what) const {
    throw Error("op " + o_.op->name + " of layer " + o_.program->name, std::string("the CPU does not run ") + what,
                "predict this model, or run one of dense transformer layers");
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
