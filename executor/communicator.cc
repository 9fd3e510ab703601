#include "executor/communicator.h"

namespace isochrone::executor {

std::string NameOf(const Tag& tag) {
  if (tag.direction == Tag::kRing) return "keys and values, or their gradient, on a ring";
  return std::string(tag.backward ? "the gradient" : "the activations") + " of microbatch " +
         std::to_string(tag.microbatch);
}

}  // namespace isochrone::executor
