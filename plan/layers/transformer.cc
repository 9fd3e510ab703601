#include "plan/layers/layers.h"

namespace isochrone::plan {
namespace {

LayerProgram Build(const char* name, LayerContext context, bool windowed, bool experts) {
  context.windowed = windowed;
  Tape tape(name, context);
  const int x = tape.Input("x", {context.ShardTokens(), context.model->hidden}, context.storage);
  const int attended = AttentionPart(tape, x);
  return tape.Finish(experts ? ExpertPart(tape, attended) : MlpPart(tape, attended));
}

}  // namespace

LayerProgram TransformerLayer(const LayerContext& context) { return Build("transformer", context, false, false); }
LayerProgram WindowedLayer(const LayerContext& context) { return Build("transformer_window", context, true, false); }
LayerProgram ExpertLayer(const LayerContext& context) { return Build("moe", context, false, true); }
LayerProgram WindowedExpertLayer(const LayerContext& context) { return Build("moe_window", context, true, true); }

}  // namespace isochrone::plan
