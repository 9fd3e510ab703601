#pragma once

#include <nlohmann/json_fwd.hpp>

#include <string>

#include "study/network.h"

namespace isochrone::cli {

/// What the network fidelity adds to a prediction: contention, and the links that delayed most.
std::string NetworkText(const study::NetworkAnswer& network);
nlohmann::ordered_json NetworkJson(const study::NetworkAnswer& network);
nlohmann::ordered_json LinksJson(const study::NetworkAnswer& network);

}  // namespace isochrone::cli
