#include "cli/stage_score.h"

#include <cstdio>

#include "base/error.h"
#include "base/table.h"
#include "cli/verb.h"
#include "study/stage_score.h"

namespace isochrone::cli {

int RunStageScore(const std::string& rows, StageForm form) {
  if (rows.empty()) throw Error("--stages", "needs rows", "name a file of them; docs/rows.md says what it holds");
  const std::vector<study::StageScore> scores = study::StagesOf(study::ReadRows(rows));
  if (scores.empty())
    throw Error(rows, "has no row with measured/stage_profile_ms", "see docs/rows.md for what it holds");
  Table table({{"id", "row", "", Align::kLeft},
               {"forward_ms", "forward", "ms"},
               {"forward_over_measured", "of measured"},
               {"backward_input_ms", "backward for inputs", "ms"},
               {"backward_input_over_measured", "of measured"},
               {"backward_weight_ms", "for weights", "ms"},
               {"backward_weight_over_measured", "of measured"},
               {"sum_over_measured", "sum of measured"}});
  const auto ms = [](Seconds t) { return Number{1e3 * t.value, 2}; };
  for (const study::StageScore& s : scores) {
    const study::StageProfile &p = s.priced, &m = s.measured;
    const auto sum = [](const study::StageProfile& of) { return of.forward + of.backward_input + of.backward_weight; };
    table.AddRow({s.id, ms(p.forward), Number{p.forward / m.forward, 2}, ms(p.backward_input),
                  Number{p.backward_input / m.backward_input, 2}, ms(p.backward_weight),
                  Number{p.backward_weight / m.backward_weight, 2}, Number{sum(p) / sum(m), 3}});
  }
  std::printf("%s\n", (form == StageForm::kJson       ? table.Json()
                       : form == StageForm::kMarkdown ? table.Markdown()
                                                      : table.Text())
                          .c_str());
  return kAnswered;
}

}  // namespace isochrone::cli
