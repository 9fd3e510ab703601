#include "cli/today.h"

#include <ctime>

namespace isochrone::cli {

std::string Today() {
  char text[16];
  const std::time_t now = std::time(nullptr);
  std::strftime(text, sizeof text, "%Y-%m-%d", std::gmtime(&now));
  return text;
}

}  // namespace isochrone::cli
