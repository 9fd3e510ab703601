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
      if (!recomputes) programs.back().name += "_kept";  // names tell programs apart
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

/// All but the head.
ProgramTable TableOf(const Scenario& s, Programs& programs) {
  ProgramTable table;
  table.recompute_layers = s.strategy.recompute_layers;
  const LayerKind first = EmbeddingKindOf(s.model);
  table.embedding = programs.IndexOf(first.name, first.build);
  for (int layer = 0; layer < s.model.layers; ++layer) {
    const LayerKind kind = LayerKindAt(s.model, layer);
    const int again = programs.IndexOf(kind.name, kind.build);
    table.layer.push_back(
        {again, table.recompute_layers == 0 ? again : programs.IndexOf(kind.name, kind.build, false)});
  }
  table.multi_token.assign(static_cast<std::size_t>(s.model.mtp_layers), -1);
  for (int& program : table.multi_token) program = programs.IndexOf("multi_token", MultiTokenLayer);
  return table;
}

ProgramTable BuildBare(const Scenario& s, bool several_stages, bool one_stage) {
  const LayerContext context = ContextOf(s);
  Programs programs(context);
  ProgramTable table = TableOf(s, programs);
  if (several_stages) {
    const LayerKind last = HeadKindOf(s.model, true);
    table.head = programs.IndexOf(last.name, last.build);
  }
  if (one_stage) {
    const LayerKind last = HeadKindOf(s.model, !s.model.tied_embeddings);
    table.lone_head = programs.IndexOf(s.model.tied_embeddings ? "lone_head" : last.name, last.build);
  }
  table.programs = std::move(programs.programs);
  return table;
}

}  // namespace

int VirtualStages(const Scenario& s) { return s.strategy.pipeline * s.strategy.chunks_per_rank; }

ProgramTable BuildBarePrograms(const Scenario& s) { return BuildBare(s, true, true); }

void AddStateTraffic(const Scenario& s, ProgramTable& table) {
  const LayerContext context = ContextOf(s);
  for (LayerProgram& program : table.programs) AddStateTraffic(context, program);
}

ProgramTable BuildPrograms(const Scenario& s) {
  const bool one = StagesOf(s.strategy) == 1;
  ProgramTable table = BuildBare(s, !one, one);
  AddStateTraffic(s, table);
  return table;
}

std::vector<StageContent> LayOut(const ProgramTable& table, const std::vector<int>& split) {
  std::vector<StageContent> stages(split.size());
  Append(stages.front(), table.embedding, -1);
  int layer = 0;
  for (std::size_t stage = 0; stage < split.size(); ++stage) {
    for (int i = 0; i < split[stage]; ++i, ++layer) {
      const bool again = table.recompute_layers == 0 || i < table.recompute_layers;
      Append(stages[stage], table.layer[static_cast<std::size_t>(layer)][again ? 0 : 1], layer);
    }
  }
  for (int program : table.multi_token) Append(stages.back(), program, layer++);
  Append(stages.back(), split.size() == 1 ? table.lone_head : table.head, -1);
  return stages;
}

Blocks BuildBlocks(const Scenario& s) {
  ProgramTable table = BuildPrograms(s);
  std::vector<StageContent> stages = LayOut(table, LayersPerStage(s));
  return {std::move(table.programs), std::move(stages)};
}

}  // namespace isochrone::plan
