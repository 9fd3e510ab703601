#include "executor/cuda/calls.h"

namespace isochrone::executor::cuda {

std::size_t SizeOf(Format format) {
  switch (format) {
    case Format::kBf16:
    case Format::kFp16:
      return 2;
    case Format::kFloat:
      return sizeof(float);
    case Format::kDouble:
      break;
  }
  return sizeof(double);
}

const char* NameOf(Format format) {
  switch (format) {
    case Format::kBf16:
      return "bf16";
    case Format::kFp16:
      return "fp16";
    case Format::kFloat:
      return "fp32";
    case Format::kDouble:
      break;
  }
  return "fp64";
}

}  // namespace isochrone::executor::cuda
