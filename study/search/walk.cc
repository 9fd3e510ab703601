#include "study/search/walk.h"

#include <algorithm>

namespace isochrone::study {
namespace {

bool StateFollows(const std::string& key) {  // false: state and gradients are the same for all values
  return key != "microbatch" && key != "recompute" && key != "attention" && key != "overlap_tensor";
}

}  // namespace

std::vector<Walk> WalksOf(const Space& space) {
  std::vector<Walk> walks;
  std::int64_t index = 0, unit = 0;
  for (std::size_t b = 0; b < space.bases.size(); ++b) {
    Walk w;
    w.base = &space.bases[b];
    w.axes = &space.axes[b];
    w.number = b;
    const auto of = [&](Level level) {
      return static_cast<std::size_t>(
          std::find_if(w.axes->begin(), w.axes->end(), [&](const Axis& a) { return a.level >= level; }) -
          w.axes->begin());
    };
    w.pipeline = of(Level::kPipeline);
    w.step = of(Level::kStep);
    w.layout_end = w.pipeline;
    while (w.layout_end < w.step) {
      const std::string& key = (*w.axes)[w.layout_end].key;
      if (key != "pipeline" && key != "data" && key != "rank_order") break;
      ++w.layout_end;
    }
    w.messages = w.step;
    while (w.messages > w.layout_end && ChangesMessages((*w.axes)[w.messages - 1].key)) --w.messages;
    for (const Axis& axis : *w.axes) {
      if (axis.key == "first_stage_layers" || axis.key == "last_stage_layers" ||
          axis.key == "account_embedding_in_split")
        w.cutters.push_back(&axis);
    }
    for (std::size_t a = w.step; a < w.axes->size(); ++a)
      w.combinations *= static_cast<std::int64_t>((*w.axes)[a].values.size());
    for (std::size_t a = 0; a < w.axes->size(); ++a)
      (a < w.pipeline ? w.units : w.per_unit) *= static_cast<std::int64_t>((*w.axes)[a].values.size());
    for (std::size_t a = w.pipeline; a < w.layout_end; ++a)
      w.parts *= static_cast<std::int64_t>((*w.axes)[a].values.size());
    w.first_index = index;
    w.first_unit = unit;
    index += w.units * w.per_unit;
    unit += w.units;
    walks.push_back(w);
  }
  return walks;
}

std::int64_t PrefixOf(const Walk& walk, std::int64_t unit) {
  std::int64_t prefix = 0, radix = 1;
  for (std::size_t a = walk.pipeline; a-- > 0;) {
    const auto n = static_cast<std::int64_t>((*walk.axes)[a].values.size());
    if (StateFollows((*walk.axes)[a].key)) prefix += radix * (unit % n), radix *= n;
    unit /= n;
  }
  return walk.first_unit + prefix;
}

}  // namespace isochrone::study
