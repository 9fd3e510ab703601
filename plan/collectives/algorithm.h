#pragma once

#include <cstdint>

namespace isochrone::plan::collectives {

/// How an all-reduce goes through the nodes of its group. Other kinds have one way each: gathers and scatters turn in
/// rings, a broadcast is a chain, an all-to-all goes pairwise.
enum class Algorithm : std::uint8_t { kRing, kTree, kHalvingDoubling };

}  // namespace isochrone::plan::collectives
