#include "cli/piggyback_answer.h"

#include <nlohmann/json.hpp>

#include "base/table.h"
#include "base/text.h"
#include "cli/answer_parts.h"

namespace isochrone::cli {

using nlohmann::ordered_json;
using study::PiggybackGain;

std::string PiggybackText(const study::PiggybackScenario& s, const std::vector<PiggybackGain>& gains) {
  std::string text;
  if (!s.engine.base.question.empty()) text += s.engine.base.question + "\n\n";
  text += s.engine.base.model.name + " on " + Grouped(s.engine.Gpus()) + " x " + s.engine.base.cluster.node.gpu.name +
          ", sequences of " + Grouped(static_cast<std::int64_t>(s.length)) + " tokens, chunks of " +
          Grouped(static_cast<std::int64_t>(s.chunk)) + "\n\n";
  Table table({{"batch", "batch"},
               {"decode_ms", "a token alone", "ms"},
               {"carried_ms", "carried", "ms"},
               {"decode_gain", "decode gain"},
               {"total_gain", "whole gain"},
               {"fits", "", "", Align::kLeft}});
  for (const PiggybackGain& g : gains)
    table.AddRow({static_cast<std::int64_t>(g.batch), Number{g.decode_ms, 3}, Number{g.carried_ms, 3},
                  Number{g.decode, 2}, Number{g.total, 2},
                  g.batch <= g.fits
                      ? Cell()
                      : Cell("does not fit: the cache holds " + Grouped(static_cast<std::int64_t>(g.fits)))});
  return text + table.Text();
}

std::string PiggybackJson(const study::PiggybackScenario& s, const std::vector<PiggybackGain>& gains,
                          const std::string& command) {
  ordered_json all = ordered_json::array();
  for (const PiggybackGain& g : gains)
    all.push_back({{"batch", g.batch},
                   {"decode_gain", g.decode},
                   {"total_gain", g.total},
                   {"token_alone_s", g.decode_ms / 1e3},
                   {"token_carried_s", g.carried_ms / 1e3},
                   {"fits", g.batch <= g.fits}});
  const ordered_json answer = {{"schema_version", 1},
                               {"kind", "piggyback"},
                               {"scenario",
                                {{"file", s.engine.base.file},
                                 {"question", s.engine.base.question},
                                 {"model", s.engine.base.model.name},
                                 {"gpu", s.engine.base.cluster.node.gpu.name},
                                 {"length", s.length},
                                 {"chunk", s.chunk},
                                 {"defaults", s.engine.defaults}}},
                               {"gains", all},
                               {"provenance", Provenance(command)}};
  return Printed(answer);
}

}  // namespace isochrone::cli
