#pragma once

#include "kernels/types.h"

namespace isochrone::kernels {

/// kGelu         x/2 (1 + tanh u) = x sigmoid(2u),  u = sqrt(2/pi) (x + 0.044715 x^3)
///               Source  Hendrycks & Gimpel, arXiv:1606.08415, section 2 (the tanh form).
/// kSquaredRelu  max(x, 0)^2      Source  So et al., "Primer", arXiv:2109.08668.
/// kSilu         x sigmoid(x)     Source  Elfwing, Uchibe & Doya, arXiv:1702.03118.
/// kSoftplus     log(1 + e^x)
enum class Activation { kGelu, kSquaredRelu, kSilu, kSoftplus };

/// Activation of a biased input, element by element.
///
///   out[t,c] = f(x[t,c] + bias[c])
///
/// x, out  (T, F)  out may be x
/// bias    (F) or null for none
template <class T>
void Activate(Activation f, Index tokens, Index width, const T* x, const T* bias, T* out);

///   dx[t,c] = dout[t,c] f'(x[t,c] + bias[c])
///
/// dx  (T, F)  may be dout; its column sums are the gradient of the bias (see BiasGradient)
template <class T>
void ActivateBackward(Activation f, Index tokens, Index width, const T* x, const T* bias, const T* dout, T* dx);

/// Gated linear units: kSwiGlu gates with SiLU, kGeGlu with GeLU (tanh form).
/// Source  Shazeer, "GLU Variants Improve Transformer", arXiv:2002.05202, equations 5 and 6.
enum class Gate { kSwiGlu, kGeGlu };

/// A gated activation.
///
///   out[t,c] = f(gate[t,c] + gate_bias[c]) (up[t,c] + up_bias[c])
///
/// gate, up             (T, F) with `pitch` elements between tokens: the halves of one (T, 2F) array are x, x + F
///                      with pitch 2F
/// gate_bias, up_bias   (F), both null for none
/// out                  (T, F), dense
template <class T>
void GatedActivate(Gate f, Index tokens, Index width, Index pitch, const T* gate, const T* up, const T* gate_bias,
                   const T* up_bias, T* out);

/// Gradient of GatedActivate; dgate and dup have the pitch of gate and up, and may be gate and up.
template <class T>
void GatedActivateBackward(Gate f, Index tokens, Index width, Index pitch, const T* gate, const T* up,
                           const T* gate_bias, const T* up_bias, const T* dout, T* dgate, T* dup);

}  // namespace isochrone::kernels
