#pragma once

#include <span>

#include "kernels/activation.h"
#include "kernels/adamw.h"
#include "kernels/attention.h"
#include "kernels/fp16.h"
#include "kernels/router.h"
#include "kernels/shard.h"
#include "kernels/ssd.h"
#include "kernels/types.h"

struct CUstream_st;  // CUDA's

// The kernels of a GPU. Each has the name and the contract of its CPU twin in kernels/NAME.h; pointers are of device
// memory, and the call returns before the work is done. Storage types: float, Bf16, Fp16; arithmetic is float. Arrays
// need no alignment; where rows and pointers are multiples of 16 bytes they are read 16 bytes at a time. All sums have
// a fixed order, so equal inputs give equal bits.
//
// Errors  a launch that the driver refuses throws Error

namespace isochrone::kernels::cuda {

using Stream = CUstream_st*;

// norm.cu: kernels/layer_norm.h, rms_norm.h, bias.h
template <class T>
void LayerNorm(Stream stream, Index tokens, Index hidden, float epsilon, const T* x, const T* weight, const T* bias,
               T* out, float* mean, float* rstd);
/// dx may be dout.
template <class T>
void LayerNormBackward(Stream stream, Index tokens, Index hidden, const T* x, const T* weight, const float* mean,
                       const float* rstd, const T* dout, T* dx, float* dweight, float* dbias);
template <class T>
void RmsNorm(Stream stream, Index tokens, Index hidden, float epsilon, const T* x, const T* weight, T* out,
             float* rstd);
template <class T>
void RmsNormBackward(Stream stream, Index tokens, Index hidden, const T* x, const T* weight, const float* rstd,
                     const T* dout, T* dx, float* dweight);
template <class T>
void BiasGradient(Stream stream, Index tokens, Index width, const T* dout, float* dbias);

// softmax.cu: kernels/softmax.h, cross_entropy.h
template <class T>
void MaskedSoftmax(Stream stream, Index batch, Index queries, Index keys, float scale, AttentionMask mask, const T* x,
                   T* out);
template <class T>
void MaskedSoftmaxBackward(Stream stream, Index batch, Index queries, Index keys, float scale, const T* out,
                           const T* dout, T* dx);
template <class T>
void LogitMax(Stream stream, Index tokens, Index width, const T* logits, float* max);
template <class T>
void LogitSums(Stream stream, Index tokens, Index width, Index first, const T* logits, const TokenId* targets,
               const float* max, float* sum, float* target_logit);
void CrossEntropyLoss(Stream stream, Index tokens, const float* max, const float* sum, const float* target_logit,
                      float* loss);
/// One weight for all tokens.
template <class T>
void CrossEntropyGradient(Stream stream, Index tokens, Index width, Index first, const T* logits,
                          const TokenId* targets, const float* max, const float* sum, float weight, T* dlogits);
/// Statistics of every shard of the vocabulary, gathered, to those of the whole:
///
///   M = max_r m_r,  S = sum_r s_r e^(m_r - M),  t = sum_r t_r
///
/// gathered  (shards, 3, T)  max, sum, target logit;  merged  (3, T)
void MergeLogitStatistics(Stream stream, Index shards, Index tokens, const float* gathered, float* merged);

// elementwise.cu: kernels/vector.h, bias.h, activation.h, dropout.h, rope.h
template <class T>
void Add(Stream stream, Index n, const T* a, const T* b, T* out);
template <class T>
void Axpy(Stream stream, Index n, float alpha, const T* x, T* y);
template <class T>
void Scale(Stream stream, Index n, float alpha, T* x);
/// Between any two of float, Bf16, Fp16.
template <class From, class To>
void Cast(Stream stream, Index n, const From* from, To* to);
template <class T>
void AddBias(Stream stream, Index tokens, Index width, const T* x, const T* bias, T* out);
template <class T>
void Activate(Stream stream, Activation f, Index tokens, Index width, const T* x, const T* bias, T* out);
template <class T>
void ActivateBackward(Stream stream, Activation f, Index tokens, Index width, const T* x, const T* bias, const T* dout,
                      T* dx);
template <class T>
void GatedActivate(Stream stream, Gate f, Index tokens, Index width, Index pitch, const T* gate, const T* up,
                   const T* gate_bias, const T* up_bias, T* out);
template <class T>
void GatedActivateBackward(Stream stream, Gate f, Index tokens, Index width, Index pitch, const T* gate, const T* up,
                           const T* gate_bias, const T* up_bias, const T* dout, T* dgate, T* dup);
template <class T>
void Dropout(Stream stream, std::uint64_t seed, std::uint64_t sequence, const Shard& shard, double rate, const T* x,
             const T* bias, const T* residual, T* out);
template <class T>
void DropoutBackward(Stream stream, std::uint64_t seed, std::uint64_t sequence, const Shard& shard, double rate,
                     const T* dout, T* dx);
template <class T>
void Rope(Stream stream, Index batch, Index positions, Index heads, Index head_size, Index pitch, const float* cosine,
          const float* sine, T* x);
template <class T>
void RopeBackward(Stream stream, Index batch, Index positions, Index heads, Index head_size, Index pitch,
                  const float* cosine, const float* sine, T* dx);

// tables.cu: kernels/embedding.h, permute.h
template <class T>
void Embedding(Stream stream, Index tokens, Index hidden, Index first, Index last, const TokenId* ids, const T* table,
               T* out);
template <class T>
void EmbeddingBackward(Stream stream, Index tokens, Index hidden, Index first, Index last, const TokenId* ids,
                       const T* dout, float* dtable);
template <class T>
void AddPositions(Stream stream, Index batch, Index positions, Index hidden, Index first_position, const T* table,
                  T* x);
template <class T>
void AddPositionsBackward(Stream stream, Index batch, Index positions, Index hidden, Index first_position, const T* dx,
                          float* dtable);
void PlanPermutation(Stream stream, Index assignments, Index experts, const ExpertId* chosen, Index* offsets,
                     Index* row_of);
template <class T>
void Permute(Stream stream, Index tokens, Index k, Index hidden, const Index* row_of, const T* x, T* out);
template <class T>
void PermuteBackward(Stream stream, Index tokens, Index k, Index hidden, const Index* row_of, const T* dout, T* dx);
template <class T>
void Combine(Stream stream, Index tokens, Index k, Index hidden, const Index* row_of, const float* weight, const T* y,
             T* out);
template <class T>
void CombineBackward(Stream stream, Index tokens, Index k, Index hidden, const Index* row_of, const float* weight,
                     const T* y, const T* dout, T* dy, float* dweight);

// router.cu: kernels/router.h
template <class T>
void RouteChosen(Stream stream, Index tokens, Index experts, Index k, bool renormalise, const T* logits,
                 const ExpertId* chosen, float* probabilities, float* weight);
template <class T>
void RouteTopKBackward(Stream stream, Index tokens, Index experts, Index k, bool renormalise,
                       const float* probabilities, const ExpertId* chosen, const float* weight, const float* dweight,
                       T* dlogits);

// optimizer.cu: kernels/adamw.h, vector.h
struct TensorUpdate {
  const float* gradient = nullptr;
  float *parameter = nullptr, *m = nullptr, *v = nullptr;
  Index n = 0;
  bool decays = true;  // false: no weight decay
};
/// AdamW on many tensors in few launches. `gradient_scale` lies on the device; if it is not finite nothing is updated.
void AdamW(Stream stream, Index step, const AdamWOptions& options, const float* gradient_scale,
           std::span<const TensorUpdate> tensors);
struct TensorPart {
  const float* data = nullptr;
  Index n = 0;
  double weight = 1;  // its squares count so many times
};
///   sum += sum_k weight_k sum_i data_k[i]^2,  in double
///
/// workspace  SquaredNormWorkspace(parts) doubles
void SquaredNorm(Stream stream, std::span<const TensorPart> parts, double* sum, double* workspace);
Index SquaredNormWorkspace(std::span<const TensorPart> parts);
///   factor = ClipFactor(sqrt(squared_norm), max_norm), see kernels/vector.h; NaN where the norm is not finite
void ClipFactor(Stream stream, const double* squared_norm, double max_norm, float* factor);
///   total += weight sum_i x[i],  in double
void AddSum(Stream stream, Index n, const float* x, double weight, double* total);

// attention.cu: kernels/attention.h, without workspaces; head sizes up to 256
template <class T>
void Attention(Stream stream, const AttentionShape& shape, AttentionMask mask, float scale, const T* q, const T* k,
               const T* v, T* out, float* lse);
/// delta  (B, Sq, A)  workspace
template <class T>
void AttentionBackward(Stream stream, const AttentionShape& shape, AttentionMask mask, float scale, const T* q,
                       const T* k, const T* v, const T* out, const float* lse, const T* dout, float* dq, float* dk,
                       float* dv, float* delta);
template <class T>
void MergeAttention(Stream stream, Index rows, Index head_size, T* out, float* lse, const T* other,
                    const float* other_lse);

// ssd.cu: kernels/ssd.h; x, b, c, out of type T, dt, a, skip and states in float; chunk at most 256
template <class T>
void SsdScan(Stream stream, const SsdShape& shape, const T* x, const float* dt, const float* a, const T* b, const T* c,
             const float* skip, const float* initial, T* out, float* state);
// ssd_backward.cu: kernels/ssd.h; all gradients are float
template <class T>
void SsdScanBackward(Stream stream, const SsdShape& shape, const T* x, const float* dt, const float* a, const T* b,
                     const T* c, const float* skip, const float* state, const T* dout, const float* dfinal,
                     const SsdGradients<float>& gradients, float* workspace);
Index SsdBackwardWorkspace(const SsdShape& shape);

}  // namespace isochrone::kernels::cuda
