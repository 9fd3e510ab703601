#pragma once

#include <string>

namespace isochrone::cli {

/// `score --stages`: printed times of single passes beside their prices. Throws Error where no row has such times.
int RunStageScore(const std::string& rows, bool markdown);

}  // namespace isochrone::cli
