// Which layers a scenario has, and on which stage each of them lies.
#include <map>
#include <string>
#include <utility>

#include "base/error.h"
#include "plan/build.h"
#include "plan/layer_traffic.h"
#include "plan/layers/layers.h"
#include "plan/stages.h"

namespace isochrone::plan {
namespace {

Dtype StorageOf(Dtype precision) {
  switch (precision) {
    case Dtype::kFp64:
    case Dtype::kFp32:
    case Dtype::kTf32:
      return precision == Dtype::kFp64 ? Dtype::kFp64 : Dtype::kFp32;
    case Dtype::kFp16:
      return Dtype::kFp16;
    default:
      return Dtype::kBf16;  // 8- and 4-bit recipes keep bf16 tensors and narrow what they multiply
  }
}

}  // namespace

LayerContext ContextOf(const Scenario& s) {
  LayerContext c;
  c.model = &s.model;
  c.strategy = &s.strategy;
  c.layout = LayoutOf(s);
  c.sequences = s.batch.microbatch;
  c.positions = s.model.sequence / s.strategy.context;
  c.storage = StorageOf(s.strategy.precision);
  c.multiply = s.strategy.precision;
  return c;
}

namespace {

/// Programs by name, each built once.
class Programs {
 public:
  explicit Programs(const LayerContext& context) : context_(context) {}

  /// `recomputes`: false for a layer beyond those that the strategy recomputes.
  int IndexOf(const std::string& name, LayerProgram (*build)(const LayerContext&), bool recomputes = true) {
    const auto [it, first] = index_.emplace(std::pair(name, recomputes), static_cast<int>(programs.size()));
    if (first) {
      LayerContext context = context_;
      context.recomputes = recomputes;
      programs.push_back(build(context));
      AddStateTraffic(context, programs.back());
    }
    return it->second;
  }

  std::vector<LayerProgram> programs;

 private:
  const LayerContext& context_;
  std::map<std::pair<std::string, bool>, int> index_;
};

void Append(StageContent& stage, int program, int layer) {
  if (!stage.sections.empty() && stage.sections.back().program == program) {
    ++stage.sections.back().count;
  } else {
    stage.sections.push_back({program, 1, layer});
  }
}

}  // namespace

int VirtualStages(const Scenario& s) { return s.strategy.pipeline * s.strategy.chunks_per_rank; }

Blocks BuildBlocks(const Scenario& s) {
  const LayerContext context = ContextOf(s);
  const std::vector<int> split = LayersPerStage(s);
  Programs programs(context);
  Blocks blocks;
  blocks.stages.resize(split.size());
  Append(blocks.stages.front(), programs.IndexOf("embedding", EmbeddingLayer), -1);
  int layer = 0;
  for (std::size_t stage = 0; stage < split.size(); ++stage) {
    for (int i = 0; i < split[stage]; ++i, ++layer) {
      const LayerKind kind = LayerKindAt(s.model, layer);
      const int recomputed = s.strategy.recompute_layers;
      const bool recomputes = recomputed == 0 || i < recomputed;
      Append(blocks.stages[stage], programs.IndexOf(kind.name, kind.build, recomputes), layer);
    }
  }
  for (int i = 0; i < s.model.mtp_layers; ++i) {
    Append(blocks.stages.back(), programs.IndexOf("multi_token", MultiTokenLayer), s.model.layers + i);
  }
  const bool shares_stage = split.size() == 1 && s.model.tied_embeddings;
  Append(blocks.stages.back(),
         programs.IndexOf(
             "head", shares_stage ? +[](const LayerContext& c) { return HeadLayer(c, false); }
                                  : +[](const LayerContext& c) { return HeadLayer(c, true); }),
         -1);
  blocks.programs = std::move(programs.programs);
  return blocks;
}

}  // namespace isochrone::plan
