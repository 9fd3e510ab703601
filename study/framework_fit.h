#pragma once

#include <string>
#include <vector>

#include "costmodel/framework.h"
#include "study/rows.h"

namespace isochrone::study {

/// What to fit and to which rows.
struct FrameworkFitRequest {
  std::string framework;               // whose profile the rows use
  std::vector<std::string> constants;  // of costmodel::FrameworkConstants, four at most; none: the spread only
  std::string clock_of;                // a GPU whose sustained clock is fitted too, to the rows on it; "": none
  std::vector<std::string> families;   // of rows; none: all
  int every = 1;                       // takes the first of so many rows, so that the others stay held out
  std::string command;                 // written into the profile
};

/// One row of the fit. Ratios predicted / measured.
struct FittedRow {
  std::string id;
  double before = 1, after = 1, left_out = 1;  // left_out: with the constants that the other rows give
};

struct FrameworkFit {
  costmodel::FrameworkProfile profile;  // ready to print
  std::vector<FittedRow> rows;
  double clock = 0;                            // of FrameworkFitRequest::clock_of
  double before = 0, after = 0, left_out = 0;  // mean |ratio - 1|
  double coverage = 0;                         // share of rows that the spread holds
};

/// Fits constants of a framework's profile to published rows, and its spread to what is left.
///
///   minimise Σ ρ(ln(predicted / measured)), ρ soft L1 at 0.03 (costmodel/calibrate/least_squares.h)
///   left out: Δx_i = -(JᵀWJ - w_i j_i j_iᵀ)⁻¹ (JᵀWr - w_i r_i j_i), one Newton step without row i;
///             r_i + j_i Δx_i is its residual
///   spread:   the ⌈0.8 (n + 1)⌉-th smallest |measured / predicted - 1| of the rows left out
///
/// Only rows whose scenario uses that profile and that are no headline of their paper (priority 1) are read: headline
/// rows are never fitted.
/// Source  Leave-one-out by one step: Pregibon, "Logistic regression diagnostics", Ann. Statist. 9(4), 1981. Spread:
///         Barber et al., "Predictive inference with the jackknife+", Ann. Statist. 49(1), 2021.
/// Throws  Error where a constant is unknown, no row is on the GPU whose clock is asked for, or fewer than five rows
/// remain.
FrameworkFit FitFramework(const std::vector<Row>& rows, const FrameworkFitRequest& request);

}  // namespace isochrone::study
