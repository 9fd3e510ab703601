// Mamba-2 mixers: convolution, scan and gated norm on one projection, which holds, per token and tensor rank, the gate,
// then x, B and C, then the step size of every head.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "executor/operands.h"
#include "kernels/bias.h"
#include "kernels/causal_conv.h"
#include "kernels/gated_norm.h"
#include "kernels/ssd.h"

namespace isochrone::executor {
namespace {

template <class T>
void Zero(Index n, T* x) {
  std::memset(x, 0, static_cast<std::size_t>(n) * sizeof(T));
}

/// Of this tensor rank.
template <class T>
Index InnerWidth(const Operands<T>& o) {
  const plan::Model& m = *o.settings->model;
  return m.mamba->expand * m.hidden / o.rows.tensor_size;
}

template <class T>
void Turn(Index rows, Index columns, const T* from, T* to) {
  for (Index r = 0; r < rows; ++r) {
    for (Index c = 0; c < columns; ++c) to[c * rows + r] = from[r * columns + c];
  }
}

/// The scan of one op with the step sizes and decays that its kernel takes, made from what the layer stores:
/// dt = softplus(projected + bias), a = -e^stored.
template <class T>
class Scanned {
 public:
  /// Operands from the `first`: convolved, projected, stored decay, skip, bias of the steps.
  Scanned(const plan::Scan& s, const Operands<T>& o, std::size_t first)
      : o_(o),
        first_(first),
        width_((s.heads * s.head_dim) + 2 * s.groups * s.state),
        pitch_(o.InBuffer(first + 1).shape.back()),
        shape_{.batch = s.batch,
               .positions = s.length,
               .heads = s.heads,
               .head_size = s.head_dim,
               .groups = s.groups,
               .states = s.state,
               .chunk = std::min<Index>(s.chunk, s.length),
               .x_pitch = width_,
               .bc_pitch = width_},
        raw_(o.Workspace(Tokens() * s.heads)),
        step_(o.Workspace(Tokens() * s.heads)),
        decay_(o.Workspace(s.heads)),
        states_(o.Workspace(s.batch * s.heads * (shape_.Chunks() + 1) * s.state * s.head_dim)),
        tiles_(o.Workspace(kernels::SsdWorkspace(shape_))) {
    CopyColumns<T>(Tokens(), s.heads, o.In(first + 1) + StepAt(), pitch_, raw_->As<T>(), s.heads);
    kernels::Activate<T>(kernels::Activation::kSoftplus, Tokens(), s.heads, raw_->As<T>(), o.In(first + 4),
                         step_->As<T>());
    for (Index h = 0; h < s.heads; ++h) decay_->As<T>()[h] = -std::exp(o.In(first + 2)[h]);
  }

  void Forward(T* out) {
    const T* x = o_.In(first_);
    kernels::SsdScan<T>(shape_, x, step_->As<T>(), decay_->As<T>(), x + BAt(), x + CAt(), o_.In(first_ + 3), nullptr,
                        out, states_->As<T>(), tiles_->As<T>());
  }

  void Backward() {
    const Index heads = shape_.heads;
    const Memory::Handle out = o_.Workspace(Tokens() * heads * shape_.head_size);
    Forward(out->As<T>());  // leaves the states between chunks
    const Memory::Handle dstep = o_.Workspace(Tokens() * heads), ddecay = o_.Workspace(heads);
    Zero(heads, ddecay->As<T>());
    const T* x = o_.In(first_);
    T *dx = o_.Out(0), *decay = decay_->As<T>(), *raw = raw_->As<T>();
    const kernels::SsdGradients<T> gradients{.x = dx,
                                             .dt = dstep->As<T>(),
                                             .a = ddecay->As<T>(),
                                             .b = dx + BAt(),
                                             .c = dx + CAt(),
                                             .skip = o_.Out(3),
                                             .initial = nullptr};
    kernels::SsdScanBackward<T>(shape_, x, step_->As<T>(), decay, x + BAt(), x + CAt(), o_.In(first_ + 3),
                                states_->As<T>(), o_.In(0), nullptr, gradients, tiles_->As<T>());
    for (Index h = 0; h < heads; ++h) o_.Out(2)[h] += ddecay->As<T>()[h] * decay[h];
    kernels::ActivateBackward<T>(kernels::Activation::kSoftplus, Tokens(), heads, raw, o_.In(first_ + 4),
                                 dstep->As<T>(), dstep->As<T>());
    kernels::BiasGradient<T>(Tokens(), heads, dstep->As<T>(), o_.Out(4));
    Zero(Tokens() * pitch_, o_.Out(1));
    CopyColumns<T>(Tokens(), heads, dstep->As<T>(), heads, o_.Out(1) + StepAt(), pitch_);
  }

 private:
  Index Tokens() const { return shape_.batch * shape_.positions; }
  Index BAt() const { return shape_.heads * shape_.head_size; }
  Index CAt() const { return BAt() + shape_.groups * shape_.states; }
  Index StepAt() const { return pitch_ - shape_.heads; }

  const Operands<T>& o_;
  std::size_t first_;
  Index width_, pitch_;
  kernels::SsdShape shape_;
  Memory::Handle raw_, step_, decay_, states_, tiles_;
};

}  // namespace

/// With its activation, SiLU. Weights are stored channel by channel; the kernel reads them tap by tap.
template <class T>
void ComputeCausalConvolution(const plan::Convolution& c, const Operands<T>& o) {
  const bool forward = c.pass == plan::Pass::kForward;
  const std::size_t first = forward ? 0 : 1;
  const Index tokens = c.batch * c.width, taps = c.kernel_width, weights = taps * c.channels_in;
  const kernels::CausalConvShape shape{.batch = c.batch,
                                       .positions = c.width,
                                       .channels = c.channels_in,
                                       .taps = taps,
                                       .pitch = o.InBuffer(first).shape.back()};
  const T* x = o.In(first) + InnerWidth(o);
  const Memory::Handle turned = o.Workspace(weights);
  Turn(c.channels_in, taps, o.In(first + 1), turned->As<T>());
  if (forward) {
    kernels::CausalConv<T>(shape, x, turned->As<T>(), o.In(2), nullptr, o.Out(0));
    return kernels::Activate<T>(kernels::Activation::kSilu, tokens, c.channels_in, o.Out(0), nullptr, o.Out(0));
  }
  const Memory::Handle summed = o.Workspace(tokens * c.channels_in), dturned = o.Workspace(weights),
                       dweight = o.Workspace(weights);
  T* d = summed->As<T>();
  kernels::CausalConv<T>(shape, x, turned->As<T>(), o.In(3), nullptr, d);
  kernels::ActivateBackward<T>(kernels::Activation::kSilu, tokens, c.channels_in, d, nullptr, o.In(0), d);
  Zero(weights, dturned->As<T>());
  Zero(tokens * shape.pitch, o.Out(0));
  kernels::CausalConvBackward<T>(shape, x, turned->As<T>(), nullptr, d, o.Out(0) + InnerWidth(o), dturned->As<T>(),
                                 o.Out(2), nullptr);
  Turn(taps, c.channels_in, dturned->As<T>(), dweight->As<T>());
  kernels::Add<T>(weights, o.Out(1), dweight->As<T>(), o.Out(1));
}

template <class T>
void ComputeScan(const plan::Scan& s, const Operands<T>& o) {
  if (s.pass == plan::Pass::kForward) Scanned<T>(s, o, 0).Forward(o.Out(0));
  else Scanned<T>(s, o, 1).Backward();
}

template <class T>
void ComputeGatedNorm(const plan::Elementwise& e, const Operands<T>& o) {
  const bool forward = e.pass == plan::Pass::kForward;
  const std::size_t first = forward ? 0 : 1;
  const kernels::GatedNormShape shape{.tokens = e.rows,
                                      .width = e.columns,
                                      .groups = o.settings->model->mamba->groups / o.rows.tensor_size,
                                      .gate_pitch = o.InBuffer(first + 1).shape.back()};
  if (forward) return kernels::GatedRmsNorm<T>(shape, T(kNormEpsilon), o.In(0), o.In(1), o.In(2), o.Out(0));
  Zero(e.rows * shape.gate_pitch, o.Out(1));
  kernels::GatedRmsNormBackward<T>(shape, T(kNormEpsilon), o.In(1), o.In(2), o.In(3), o.In(0), o.Out(0), o.Out(1),
                                   o.Out(2));
}

#define ISO_MAMBA(T)                                                                       \
  template void ComputeCausalConvolution<T>(const plan::Convolution&, const Operands<T>&); \
  template void ComputeScan<T>(const plan::Scan&, const Operands<T>&);                     \
  template void ComputeGatedNorm<T>(const plan::Elementwise&, const Operands<T>&);
ISO_MAMBA(float)
ISO_MAMBA(double)

}  // namespace isochrone::executor
