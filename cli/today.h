#pragma once

#include <string>

namespace isochrone::cli {

/// "2026-03-01", in universal time: what measurements and fits are dated with.
std::string Today();

}  // namespace isochrone::cli
