#pragma once

#include <map>
#include <string>

#include "plan/scenario.h"

namespace isochrone::study {

/// Nodes of the catalogue that rows have used so far, by GPU.
using NodeCache = std::map<std::string, plan::Node>;

/// The usual node of each GPU, as names of the catalogue.
const std::map<std::string, std::string>& UsualNodes();

/// The usual node of `gpu`. Throws Error with the known GPUs.
const plan::Node& UsualNodeOf(const std::string& gpu, NodeCache& cache);

}  // namespace isochrone::study
