#include "cli/instances_answer.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/table.h"
#include "base/text.h"
#include "cli/answer_parts.h"

namespace isochrone::cli {
namespace {

using nlohmann::ordered_json;
using study::Instance;

/// "2 x (1 thread, 8 items)", runs of equal instances together.
std::string InstancesOf(const std::vector<Instance>& all) {
  std::string text;
  for (std::size_t i = 0; i < all.size();) {
    std::size_t n = 1;
    while (i + n < all.size() && all[i + n].threads == all[i].threads && all[i + n].batch == all[i].batch) ++n;
    text += (text.empty() ? "" : " + ") + std::to_string(n) + " x (" + std::to_string(all[i].threads) + ", " +
            std::to_string(all[i].batch) + ")";
    i += n;
  }
  return text.empty() ? "none: the profile cannot make up the batch" : text;
}

}  // namespace

std::string InstancesText(const study::InstancesScenario& s, const study::InstancesAnswer& a,
                          const std::string& origin) {
  std::string text;
  if (!s.question.empty()) text += s.question + "\n\n";
  text += s.model.name + ", " + std::to_string(s.threads) + " threads; times " + origin + "\n\n";
  std::vector<Column> columns = {{"batch", "batch"},
                                 {"chosen", "chosen: instances x (threads, items)", "", Align::kLeft},
                                 {"seconds", "chosen", "ms"}};
  for (const int size : s.sizes)
    columns.push_back(
        {"fixed_" + std::to_string(size), std::to_string(s.threads / size) + " x " + std::to_string(size), "ms"});
  Table table(columns);
  for (const study::InstancesChoice& c : a.choices) {
    std::vector<Cell> row = {std::int64_t{c.batch}, InstancesOf(c.chosen), Number{1e3 * c.seconds, 2}};
    for (const study::FixedSplit& f : c.fixed) row.push_back(f.seconds > 0 ? Cell(Number{1e3 * f.seconds, 2}) : Cell());
    table.AddRow(row);
  }
  text += table.Text() + "\nover the batches, on average, the chosen one is\n";
  for (std::size_t k = 0; k < s.sizes.size(); ++k)
    text += "  " + ThreeDigits(a.gain[k]) + " times as fast as always " + std::to_string(s.threads / s.sizes[k]) +
            " x " + std::to_string(s.sizes[k]) + " threads\n";
  return text;
}

std::string InstancesJson(const study::InstancesScenario& s, const study::InstancesAnswer& a, const std::string& origin,
                          const std::string& command) {
  ordered_json choices = ordered_json::array(), gains = ordered_json::array(), profile = ordered_json::array();
  for (const study::InstancesChoice& c : a.choices) {
    ordered_json chosen = ordered_json::array(), fixed = ordered_json::array();
    for (const Instance& i : c.chosen)
      chosen.push_back({{"threads", i.threads}, {"batch", i.batch}, {"seconds", i.seconds}});
    for (const study::FixedSplit& f : c.fixed)
      if (f.seconds > 0) fixed.push_back({{"threads", f.threads}, {"seconds", f.seconds}});
    choices.push_back({{"batch", c.batch}, {"seconds", c.seconds}, {"chosen", chosen}, {"fixed", fixed}});
  }
  for (std::size_t k = 0; k < s.sizes.size(); ++k) gains.push_back({{"threads", s.sizes[k]}, {"gain", a.gain[k]}});
  for (const Instance& p : s.profile)
    profile.push_back({{"threads", p.threads}, {"batch", p.batch}, {"seconds", p.seconds}});
  const ordered_json answer = {
      {"schema_version", 1},
      {"kind", "instances"},
      {"scenario", {{"file", s.file}, {"question", s.question}, {"model", s.model.name}, {"threads", s.threads}}},
      {"profile_origin", origin},
      {"profile", profile},
      {"choices", choices},
      {"mean_gain_over_fixed", gains},
      {"provenance", Provenance(command)}};
  return Printed(answer);
}

InferenceAnswer AnswerInstances(const std::string& path, const std::string& command) {
  const study::InstancesScenario s = study::ReadInstances(path);
  if (s.profile.empty())
    throw Error(s.file + ": /instances", "has no profile to choose from",
                "measure one: isochrone run " + path + " --profile FILE, then name it here as \"profile\"");
  const study::InstancesAnswer a = study::ChooseInstances(s);
  const std::string origin = "from the scenario's profile";
  return {InstancesJson(s, a, origin, command), InstancesText(s, a, origin)};
}

}  // namespace isochrone::cli
