#pragma once

#include <map>
#include <memory>
#include <tuple>

#include "executor/cuda/calls.h"
#include "executor/cuda/libraries.h"

namespace isochrone::executor::cuda {

/// Matrix products by cuBLASLt on one device. The algorithm of a shape is asked for once and kept.
class Products {
 public:
  Products();
  ~Products();
  Products(const Products&) = delete;
  Products& operator=(const Products&) = delete;

  void Multiply(const Matmul& matmul, Stream stream);

 private:
  struct Prepared {
    cublasLtMatmulDesc_t operation = nullptr;
    cublasLtMatrixLayout_t a = nullptr, b = nullptr, c = nullptr;
    cublasLtMatmulAlgo_t algorithm{};
    ~Prepared();
  };
  /// All that the choice depends on: forms, extents, pitches, strides, alignments, epilogue.
  using Key = std::tuple<bool, bool, bool, bool, Format, Format, Arithmetic, Index, Index, Index, Index, Index, Index,
                         Index, Index, Index, Index, unsigned, unsigned, unsigned>;
  const Prepared& PreparedFor(const Matmul& m);
  std::unique_ptr<Prepared> Prepare(const Matmul& m) const;
  void Choose(const Matmul& m, Prepared& p) const;

  cublasLtHandle_t handle_ = nullptr;
  void* workspace_ = nullptr;
  std::map<Key, std::unique_ptr<Prepared>> prepared_;
};

}  // namespace isochrone::executor::cuda
