#pragma once

#include <string>

#include "study/framework_fit.h"

namespace isochrone::cli {

/// Fits a framework's constants to the rows of a file, prints every row before, after and left out, and writes the
/// profile to `out` where one is named.
int CalibrateFramework(const study::FrameworkFitRequest& request, const std::string& rows, const std::string& out);

}  // namespace isochrone::cli
