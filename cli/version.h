#pragma once

namespace isochrone::cli {

const char* Version();  // "0.1.0"
const char* Commit();   // the commit that was built, or "unknown" outside a checkout

}  // namespace isochrone::cli
