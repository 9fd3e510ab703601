#pragma once

#include <string>
#include <vector>

#include "plan/scenario.h"
#include "study/shape_losses.h"

namespace isochrone::study {

struct AdviseRequest {
  double more = 0.01, fewer = 0.10;  // parameters may differ from the model's by these shares
};

/// One shape and how it runs.
struct ShapeAnswer {
  plan::Scenario scenario;
  std::string change;  // "hidden 14400 -> 13824, 96 -> 108 heads of 128"; empty: the model itself
  double parameters = 0, step_s = 0, tokens_per_s = 0, tflops_per_gpu = 0;
  bool fits = false;
  ShapeLosses losses{};
  ShapeRule rule = ShapeRule::kSize;  // that made most of the difference in time a model FLOP
  double share = 0;                   // of what all rules save together; others may cost some of it again
};

struct Advice {
  ShapeAnswer model;
  std::vector<ShapeAnswer> better;  // most TFLOP/s first
  int tried = 0;
};

/// Shapes near the scenario's model that run faster and have about as many parameters or fewer.
///
/// Tried, one after the other, then the best of each kind together:
///   hidden        multiples of 128 near it, with every head size of HeadSizes that divides it; the MLP keeps its ratio
///   heads         other head sizes at the same hidden size
///   MLP width     multiples of 128 and 256 a tensor rank beside it
///   vocabulary    padded to multiples of 64 and 128 a tensor rank
///   layers        multiples of pipeline ranks times chunks beside it
///   microbatch    half and twice
/// Of several shapes with the same hidden size the fastest is kept. A shape is listed where its step is shorter, its
/// TFLOP/s per GPU higher, and memory still suffices if it did; a smaller model's tokens a second are larger for its
/// size alone, so compare by TFLOP/s.
/// Source  Anthony et al., arXiv 2401.14489, section VI.
Advice Advise(const plan::Scenario& scenario, const AdviseRequest& request);

}  // namespace isochrone::study
