#pragma once

#include "costmodel/profile.h"
#include "plan/op.h"

namespace isochrone::costmodel {

/// How a kernel that streams through memory was priced.
struct StreamPrice {
  Seconds total;
  Seconds memory, launch;
  Seconds random;  // drawing random numbers, beside the memory; total = max(memory, random) + launch
  Bytes traffic;
  BytesPerSecond bandwidth;  // reached
  int kernels = 1;
};

/// Time of kernels bound by memory: traffic over the bandwidth that this kind of kernel reaches, and a floor for each
/// kernel, so that the bandwidth seen by a small kernel falls as bytes / (bytes + launch · bandwidth).
///
///   t = max(traffic / (f · data-sheet bandwidth), numbers / (r · multiprocessors · boost clock)) + kernels · launch
///
/// numbers  random ones that dropout draws, one an element
/// r        1.56 a cycle and multiprocessor: Philox-4x32-10 of PyTorch's dropout. A benchmark on A100
///          (github.com/flagos-ai/FlagGems/pull/85) prints 952.7 for 10⁹ rows and names no unit; read as such
///          benchmarks print it, GB/s read and written in fp16, that is 4.2 ms for 10⁹ elements. What bounds it: arXiv
///          2410.07531
/// f        fitted per kind: maps, row reductions, scattered rows, multi-tensor updates
/// traffic  what must be read and written once, per op:
///   softmax          T = rows · columns elements. Fused forward 2 T (causal: only the visible half is read: 1.5 T),
///                    backward 3 T (causal 2 T); unfused adds a scale and a mask pass, 2 T each and direction
///   normalisation    forward 2 (T, H); backward 4 (T, H): input and gradient read, gradient written, and as much again
///   as
///                    one of them for the parameters' sums; eager (RMS in fp32 maps: cast, square, mean, scale, cast,
///                    weight) forward 36 and backward 76 bytes an element
///   embedding        forward 2 (T, H); backward reads (T, H), clears and adds the dense (rows, H) gradient
///   cross entropy    per logit: unfused forward 32 bytes (cast to fp32, maximum, shift, exponential, sum, divide),
///                    backward 14 bytes (scale in fp32, cast back); fused: read twice, written once
///   permutation      2 rows · hidden, read or written at random places
/// Source  Kernel lists: Megatron-LM (fused_softmax, vocab_parallel_cross_entropy); f fitted, see profile.h.
StreamPrice PriceOf(const plan::Elementwise& op, const plan::Gpu& gpu, const MemoryCurve& curve);
StreamPrice PriceOf(const plan::Softmax& op, const plan::Gpu& gpu, const MemoryCurve& curve);
/// `eager`: RMS normalisation kernel by kernel.
StreamPrice PriceOf(const plan::Normalization& op, const plan::Gpu& gpu, const MemoryCurve& curve, bool eager = false);
StreamPrice PriceOf(const plan::Embedding& op, const plan::Gpu& gpu, const MemoryCurve& curve);
StreamPrice PriceOf(const plan::CrossEntropy& op, const plan::Gpu& gpu, const MemoryCurve& curve);
StreamPrice PriceOf(const plan::OptimizerUpdate& op, const plan::Gpu& gpu, const MemoryCurve& curve);
StreamPrice PriceOf(const plan::GradientNorm& op, const plan::Gpu& gpu, const MemoryCurve& curve);
StreamPrice PriceOf(const plan::Route& op, const plan::Gpu& gpu, const MemoryCurve& curve);
StreamPrice PriceOf(const plan::Permute& op, const plan::Gpu& gpu, const MemoryCurve& curve);

}  // namespace isochrone::costmodel
