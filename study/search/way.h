#pragma once

#include <cstddef>

namespace isochrone::study {

/// In which order a thread asks for the values of an axis: every second one backwards, each pair from another value on.
/// Threads that walk different layouts want the same schedules; in one order they would catch up with each other and
/// from then on wait at every one.
struct Way {
  std::size_t who = 0, threads = 1;
  std::size_t At(std::size_t i, std::size_t values) const {
    const std::size_t pairs = (threads + 1) / 2, v = (i + values * (who / 2) / pairs) % values;
    return who % 2 == 0 ? v : values - 1 - v;
  }
};

}  // namespace isochrone::study
