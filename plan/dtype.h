#pragma once

#include <string>
#include <vector>

#include "base/units.h"

namespace isochrone::plan {

/// Number formats of tensors and of matrix-multiply inputs.
enum class Dtype { kFp64, kFp32, kTf32, kFp16, kBf16, kFp8, kMxfp8, kNvfp4, kInt32, kInt8, kInt4, kMask };

/// Stored size of one element. Block-scaled formats include their scales: mxfp8 one byte per 32, nvfp4 one per 16.
/// tf32 is stored as fp32; a mask is one byte.
constexpr Bytes SizeOf(Dtype dtype) {
  switch (dtype) {
    case Dtype::kFp64:
      return Bytes(8);
    case Dtype::kFp32:
    case Dtype::kTf32:
    case Dtype::kInt32:
      return Bytes(4);
    case Dtype::kFp16:
    case Dtype::kBf16:
      return Bytes(2);
    case Dtype::kFp8:
    case Dtype::kInt8:
    case Dtype::kMask:
      return Bytes(1);
    case Dtype::kMxfp8:
      return Bytes(1 + 1.0 / 32);
    case Dtype::kNvfp4:
      return Bytes(0.5 + 1.0 / 16);
    case Dtype::kInt4:
      return Bytes(0.5);
  }
  return Bytes(0);
}

/// "fp32", "bf16", … in the order of the enumerators.
const std::vector<std::string>& DtypeNames();
const std::string& NameOf(Dtype dtype);

}  // namespace isochrone::plan
