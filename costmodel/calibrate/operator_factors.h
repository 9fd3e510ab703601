#pragma once

#include <string>

#include "costmodel/calibrate/samples.h"

namespace isochrone::costmodel {

/// Reads the matrix products of a JSON table of operators as SimuMax writes it: accelerator.op.matmul has the data
/// sheet's rate in `tflops` and what each shape reaches of it in `accurate_efficient_factor`:
///
///   "b=1, m=4096, k=8192, n=10240, layout=TN, accumulate=False, out_dtype=bf16": 0.645
///
/// The layout is a column-major library's, so its first letter says whether B is transposed. C is m × n.
/// Throws Error with the file and the key where a shape cannot be read.
SampleTable ReadOperatorFactors(const std::string& path);

}  // namespace isochrone::costmodel
