#pragma once

#include "kernels/types.h"

namespace isochrone::kernels {

/// A rectangle of a larger row-major array, held dense: its element (r, c) is element first + r pitch + c of the whole.
/// What is drawn at random depends on the index in the whole, so it is the same at any sharding.
struct Shard {
  Index rows = 0;
  Index columns = 0;
  Index first = 0;
  Index pitch = 0;
};

}  // namespace isochrone::kernels
