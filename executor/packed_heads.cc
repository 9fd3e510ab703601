#include "executor/packed_heads.h"

#include <cstdlib>
#include <string>

#include "base/error.h"

namespace isochrone::executor {
namespace {

/// The index at the end of "attention.2".
Index StepOf(const std::string& name) { return std::atoll(name.c_str() + name.rfind('.') + 1); }

}  // namespace

SquareHeads HeadsOf(const plan::Model& m, const plan::LayerProgram& program, const plan::Op& op) {
  for (const std::vector<int>* list : {&op.in, &op.out}) {
    for (int b : *list) {
      const std::vector<std::int64_t>& shape = program.buffers[static_cast<std::size_t>(b)].shape;
      if (shape.size() == 4) return {{shape[1], shape[1] * m.kv_heads / m.heads, m.head_dim}, shape[0], shape[2]};
    }
  }
  ISO_CHECK_NOTE(false, op.name);
  return {};
}

std::vector<Index> HeadSections(const plan::Model& m, int tensor_size, const std::string& op, Index columns) {
  if (op != "heads_exchange") return {columns};
  const Index query = m.heads / tensor_size * m.head_dim, key = m.kv_heads / tensor_size * m.head_dim;
  return {query, key, key};
}

AttentionArea AreaOf(const plan::Op& op, const plan::Model& model, const plan::Strategy& strategy,
                     const Positions& positions, int rank) {
  const Index step = StepOf(op.name), S = positions.Local(), half = S / 2;
  if (strategy.context_form == plan::ContextForm::kRing) {
    if (step == 0 || !model.causal) return {.queries = S, .keys = S, .mask = {.causal = step == 0 && model.causal}};
    const Index from = (rank - step + strategy.context) % strategy.context;
    if (from < rank) return {.queries = S, .keys = half, .mask = {.causal = false}};
    return {.first_query = half, .queries = half, .keys = S, .mask = {.causal = false}};
  }
  if (!model.causal) return {.queries = S, .keys = positions.Whole(), .mask = {.causal = false}};
  const PositionRun& run = positions.Runs().at(static_cast<std::size_t>(step));
  return {.first_query = run.local,
          .queries = run.length,
          .keys = run.whole + run.length,
          .mask = {.causal = true, .first_query = run.whole}};
}

}  // namespace isochrone::executor
