#pragma once

#include <vector>

#include "kernels/types.h"
#include "plan/dtype.h"

namespace isochrone::executor::cuda {

using kernels::Index;

/// What is measured, and how often.
struct BenchRequest {
  struct Product {
    Index batch = 1, m = 0, n = 0, k = 0;
  };
  struct Attention {
    Index batch = 1, heads = 1, queries = 0, head_dim = 64;
  };
  std::vector<plan::Dtype> formats;   // of products: fp32, tf32, bf16, fp16
  std::vector<Product> products;      // Y = X W^T, each in every format
  std::vector<double> stream_bytes;   // traffic of kernels bound by memory
  std::vector<Attention> attention;   // causal, in float: the executor's own kernels
  std::vector<int> groups;            // GPUs of a collective
  std::vector<double> message_bytes;  // of collectives and messages
  double overlap_bytes = 0;           // of an all-reduce beside products; 0: not measured
  int warmups = 3, repeats = 9;       // launches before, intervals whose median counts
  double least_seconds = 200e-6;      // an interval repeats its kernel until it is about so long
};
/// What `calibrate --device cuda` measures on `gpus` GPUs of one machine.
BenchRequest FullBench(int gpus);
/// Adds the executor's own attention kernels, which are no match for FlashAttention: for predictions of what the
/// executor runs.
void AddAttentionShapes(BenchRequest& request);

}  // namespace isochrone::executor::cuda
