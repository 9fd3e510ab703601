#pragma once

#include <string>

#include "costmodel/calibrate/samples.h"

namespace isochrone::costmodel {

inline const std::string kTrainingShapes = "product: m, n, k >= 1024";

/// A part of the shapes with one bottleneck, for residuals by region: size class, alignment, batch, pass.
std::string RegionOf(const Sample& sample);

/// Shapes that training runs: large products with aligned rows, attention of 1,024 tokens and more.
bool IsCommonInTraining(const Sample& sample);

}  // namespace isochrone::costmodel
