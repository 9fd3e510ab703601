#include "executor/positions.h"

namespace isochrone::executor {

Positions::Positions(const plan::Model& model, const plan::Strategy& strategy, int rank)
    : whole_(model.sequence), local_(model.sequence / strategy.context) {
  const bool paired = strategy.context > 1 && model.causal && strategy.context_form != plan::ContextForm::kUlysses;
  if (!paired) {
    runs_ = {{0, rank * local_, local_}};
    return;
  }
  const Index piece = local_ / 2;
  runs_ = {{0, rank * piece, piece}, {piece, (2 * strategy.context - 1 - rank) * piece, piece}};
}

}  // namespace isochrone::executor
