#include "cli/version.h"

namespace isochrone::cli {

const char* Version() { return ISO_VERSION; }
const char* Commit() { return ISO_COMMIT; }

}  // namespace isochrone::cli
