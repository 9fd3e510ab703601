#pragma once

#include <map>
#include <string>

#include "plan/scenario.h"

namespace isochrone::study {

/// Nodes of the catalogue that rows have used so far, by GPU.
using NodeCache = std::map<std::string, plan::Node>;

/// The usual node of each GPU, as names of the catalogue.
const std::map<std::string, std::string>& UsualNodes();

/// The GPU of the catalogue that `gpu` stands for: the one of that name, or the only one whose name says less or more
/// ("h200_sxm_141gb" is h200_sxm, "b200_sxm" is b200_sxm_180gb). Empty where none does, or several do.
std::string UsualNameOf(const std::string& gpu);

/// The usual node of that GPU. Throws Error with the known GPUs.
const plan::Node& UsualNodeOf(const std::string& gpu, NodeCache& cache);

}  // namespace isochrone::study
