#include <bit>

#include "base/error.h"
#include "plan/collectives/algorithms.h"
#include "plan/collectives/step_builder.h"

namespace isochrone::plan::collectives {

StepList HalvingDoublingAllReduce(int ranks) {
  ISO_CHECK(ranks > 0);
  const int core = static_cast<int>(std::bit_floor(static_cast<unsigned>(ranks)));
  StepBuilder b(ranks, core);
  for (int r = core; r < ranks; ++r) b.Send(r, r - core, 0, core, Effect::kReduce);
  b.EndStep();
  // Before the step with `distance`, a rank holds the partial sums of the blocks that share its bits above.
  const auto first_of = [](int rank, int blocks) { return rank / blocks * blocks; };
  for (int distance = core / 2; distance >= 1; distance /= 2) {
    for (int r = 0; r < core; ++r) b.Send(r, r ^ distance, first_of(r ^ distance, distance), distance, Effect::kReduce);
    b.EndStep();
  }
  for (int distance = 1; distance < core; distance *= 2) {
    for (int r = 0; r < core; ++r) b.Send(r, r ^ distance, first_of(r, distance), distance, Effect::kCopy);
    b.EndStep();
  }
  for (int r = core; r < ranks; ++r) b.Send(r - core, r, 0, core, Effect::kCopy);
  b.EndStep();
  return b.Take();
}

StepList PairwiseAllToAll(int ranks) {
  ISO_CHECK(ranks > 0);
  StepBuilder b(ranks, ranks * ranks);
  for (int s = 1; s < ranks; ++s) {
    for (int r = 0; r < ranks; ++r) b.Send(r, (r + s) % ranks, r * ranks + (r + s) % ranks, 1, Effect::kCopy);
    b.EndStep();
  }
  return b.Take();
}

StepList ChainBroadcast(int ranks, int chunks) {
  ISO_CHECK(ranks > 0 && chunks > 0);
  StepBuilder b(ranks, chunks);
  for (int s = 0; s < ranks + chunks - 2; ++s) {
    for (int r = 0; r + 1 < ranks; ++r)
      if (s - r >= 0 && s - r < chunks) b.Send(r, r + 1, s - r, 1, Effect::kCopy);
    b.EndStep();
  }
  return b.Take();
}

StepList PointToPoint() { return ChainBroadcast(2, 1); }

}  // namespace isochrone::plan::collectives
