#pragma once

#include <string>

namespace isochrone::reports {

/// Makes an SQLite file of a sweep's results (JSON Lines, a header first and a footer last): table `results` with a
/// column for each key, so that questions can be asked in SQL. Slashes of a key become underscores. The file appears
/// whole or not at all, and replaces one of the same name. Throws Error.
void WriteResultTable(const std::string& results, const std::string& path);

}  // namespace isochrone::reports
