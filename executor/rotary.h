#pragma once

#include <vector>

#include "executor/positions.h"
#include "kernels/rope.h"
#include "plan/scenario.h"

namespace isochrone::executor {

/// Cosines and sines (S, D/2) of the rotary positions that a rank holds, at the base of Su et al., arXiv:2104.09864.
template <class T>
void RotaryTables(const plan::Model& model, const Positions& positions, std::vector<T>& cosine, std::vector<T>& sine) {
  constexpr double kBase = 10000;
  const Index half = model.head_dim / 2;
  cosine.resize(static_cast<std::size_t>(positions.Local() * half));
  sine.resize(cosine.size());
  for (const PositionRun& run : positions.Runs()) {
    kernels::RopeTable<T>(run.whole, run.length, model.head_dim, kBase, cosine.data() + run.local * half,
                          sine.data() + run.local * half);
  }
}

}  // namespace isochrone::executor
