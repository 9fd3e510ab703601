#pragma once

#include <string>

#include "costmodel/calibrate/samples.h"

namespace isochrone::costmodel {

/// Reads the matrix products of a JSON table of operators as SimuMax writes it: accelerator.op.matmul has the data
/// sheet's rate in `tflops` and what each shape reaches of it in `accurate_efficient_factor`:
///
///   "b=1, m=4096, k=8192, n=10240, layout=TN, accumulate=False, out_dtype=bf16": 0.645
///
/// The layout is a column-major library's, so its first letter says whether B is transposed. C is m × n. Products of
/// experts, where there are some, are in group_matmul: ng experts of M rows each, stage fwd, bwd_grad_act or
/// bwd_grad_w,
///
///   "ng=160, M=154, N=3072, K=5120, dtype=bf16, …, main_grad_dtype=fp32, stage=fwd, …": 0.2
///
/// Throws Error with the file and the key where a shape cannot be read.
SampleTable ReadOperatorFactors(const std::string& path);

}  // namespace isochrone::costmodel
