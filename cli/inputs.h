#pragma once

#include <string>
#include <vector>

#include "reports/report.h"

namespace isochrone::cli {

/// What `path` holds, as an answer: a file that a verb printed with --json as it is, a scenario as its prediction with
/// a timeline. Throws Error for what is neither.
reports::Input ReadInput(const std::string& path);

/// Writes `text` to `path`, whole or not at all. Throws Error.
void WriteFile(const std::string& path, const std::string& text);

}  // namespace isochrone::cli
