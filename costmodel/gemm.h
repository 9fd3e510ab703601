#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "costmodel/profile.h"
#include "plan/op.h"
#include "plan/scenario.h"

namespace isochrone::costmodel {

/// How a GEMM was priced: the tile and split that cost least, and the times that make up its total.
struct GemmPrice {
  Seconds total;
  Seconds compute, memory, launch, split;  // total = norm_p(compute, memory) + launch + split
  int tile_m = 0, tile_n = 0, splits = 1;
  double tiles = 0, load = 0;  // tiles over the whole GPU; tiles that the busiest multiprocessor works through
  double alignment = 1;        // factor on rate and bandwidth
  Bytes traffic;
  int calls = 1;  // of this product, one after another; the times above are of all, tiles and traffic of one
};

/// How a library multiplies the rows of each expert: in one kernel, or with one call for each, one after another.
enum class GroupedForm { kOneKernel, kOneCallEach };

/// Transformer Engine's GroupedLinear, which Megatron runs, calls cuBLAS once for each expert, on four streams. On A100
/// the streams fill each other's gaps, and all calls take as long as one kernel would; on B200 they take as long as one
/// after another. Hopper, whose products hold every multiprocessor, is taken to be as B200. Other frameworks have one
/// kernel.
/// Source  SimuMax's operator tables of A100 PCIe and B200: `isochrone calibrate GPU TABLE.json --ratio` of 12 and 108
///         such products, beside the ratio of plain products.
GroupedForm GroupedFormOf(const plan::Strategy& strategy, const plan::Gpu& gpu);

/// What the price of a matrix product depends on. Rows may be fractional where they are an expectation.
struct GemmShape {
  double batch = 1, m = 0, n = 0, k = 0;
  Bytes element, output;    // of one element of A and B; of C
  bool accumulate = false;  // C is read as well
  bool ragged = false;      // the batch's m (or k) differ: tiles are whole per member on average only
  double alignment = 1;
};

/// Time of C[m,n] = A[m,k] B[k,n] on one GPU in one number format.
///
///   t       = (compute^p + memory^p)^(1/p) + launch + [s > 1] (split + s 4 m n / split_bandwidth)
///   compute = load ((k/s) step + prologue + tm tn output / epilogue)
///   step    = ((2 tm tn / rate)^p + ((tm + tn) element / l2)^p)^(1/p)
///   load    = u + quantisation (⌈u⌉ - u), at least 1;   u = batch ⌈m/tm⌉ ⌈n/tn⌉ s / multiprocessors
///   memory  = (m k + k n) element + m n output (twice if C is read), over the bandwidth reached
///
/// rate, l2, epilogue  of one multiprocessor; k/s is rounded up to the depth of one pipeline stage, 128 bytes
/// tm, tn, s           the tile and split of k with the least time: a library's heuristic is taken to choose well
/// Source  Tiles and waves: NVIDIA, "Matrix Multiplication Background User's Guide"; constants fitted, see profile.h.
/// Assumes operands come from memory once; operands that a previous kernel left in L2 make small products faster. C,
///         where it is read, is fetched behind the arithmetic: in SimuMax's operator tables, not fitted, the median of
///         time over price of sums into fp32 is that of plain products within 0.5 % on A100 PCIe (61 of each) and 2.5 %
///         above it on B200 (226 sums).
class GemmModel {
 public:
  GemmModel(const plan::Gpu& gpu, const GemmCurve& curve, plan::Dtype dtype);

  GemmPrice Price(const GemmShape& shape) const;
  GemmPrice Price(const plan::Gemm& gemm) const;
  GemmPrice Price(const plan::GroupedGemm& gemm, GroupedForm form) const;

 private:
  struct Tile {
    int m, n;
    double step, area;  // seconds for one k; tm · tn
  };
  double Combine(double a, double b) const;

  GemmCurve curve_;
  std::vector<Tile> tiles_;
  double multiprocessors_, memory_, epilogue_, split_memory_, element_;
};

/// Factor on rate and bandwidth for contiguous dimensions that are not whole vectors or cache lines.
///
/// Batched strided products (attention of odd head sizes) lose far more than single ones: every head starts at another
/// offset, and the library falls back to kernels without wide loads. Those two factors are fitted to the steps of the
/// bigscience rows with head sizes 108 and 150, `isochrone score training_rows.json`; the factors of single products
/// are read off the figures.
///
/// Loads move 16 bytes at a time where every row starts at a multiple of 16 bytes, else 8, 4 or 2.
/// Source  Anthony et al., "The Case for Co-Designing Model Architectures with Hardware", arXiv 2401.14489, figures on
///         alignment; NVIDIA, "Deep Learning Performance Guide", tensor-core requirements.
double AlignmentOf(const plan::Gemm& gemm);

}  // namespace isochrone::costmodel
