#pragma once

#include <string>

namespace isochrone::cli {

/// `score --stages`: printed times of single passes beside their prices. Throws Error where no row has such times.
enum class StageForm { kText, kMarkdown, kJson };
int RunStageScore(const std::string& rows, StageForm form);

}  // namespace isochrone::cli
