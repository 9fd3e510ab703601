#pragma once

#include "base/units.h"
#include "plan/op.h"
#include "plan/scenario.h"

namespace isochrone::costmodel {

/// Bytes that PyTorch reads and writes again around a product, in kernels that no plan has, as no other executor needs
/// them. None for framework "other".
///
///   context of unfused attention    2 of its result: written head by head, copied into rows of tokens
///   its dq, dk, dv                  2 of each: laid beside each other for the packed gradient (the split's cat)
///   its dq, dk in Megatron-LM       2 more: scores are scaled by baddbmm's alpha, whose derivatives multiply apart
///   a linear layer with its bias    2 of its result in Megatron's own layers: y = x Wᵀ, then y + b. Transformer Engine
///                                   and torch's linear layer add it in the product's kernel; which of the two runs:
///                                   RunsMegatronLayers
/// Source  Megatron-LM, megatron/model/transformer.py (CoreAttention), megatron/core/tensor_parallel/layers.py and
///         utils.py; PyTorch, tools/autograd/derivatives.yaml (baddbmm); before version 1.11 torch's linear layer, too,
///         adds the bias to three-dimensional input apart.
Bytes TorchPasses(const plan::OpKind& kind, const plan::Strategy& strategy);

}  // namespace isochrone::costmodel
