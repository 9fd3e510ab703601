#include "cli/power_answer.h"

#include <nlohmann/json.hpp>

#include "base/table.h"
#include "base/text.h"
#include "cli/answer_parts.h"

namespace isochrone::cli {
namespace {

using nlohmann::ordered_json;
using study::LatencyLimit;
using study::RowAnswer;

ordered_json LimitJson(const LatencyLimit& l) { return {{"p50", l.p50}, {"p99", l.p99}}; }

ordered_json RowJson(const RowAnswer& r) {
  return {{"servers", r.servers},
          {"mean_power_share", r.mean_power},
          {"peak_power_share", r.peak_power},
          {"uncapped_peak_share", r.uncapped_peak},
          {"capped_time_share", r.capped_share},
          {"brakes", r.brakes},
          {"high_later", LimitJson(r.high)},
          {"low_later", LimitJson(r.low)},
          {"throughput_lost", r.throughput_lost},
          {"kept", r.kept},
          {"power_share_by_minute", r.minutes}};
}

Table RowsTable(const study::PowerAnswer& a) {
  Table table({{"servers", "servers"},
               {"mean_pct", "mean", "%"},
               {"peak_pct", "peak", "%"},
               {"uncapped_peak_pct", "uncapped", "%"},
               {"capped_pct", "capped", "% of time"},
               {"brakes", "brakes"},
               {"high_p50_pct", "high p50", "+%"},
               {"high_p99_pct", "high p99", "+%"},
               {"low_p50_pct", "low p50", "+%"},
               {"low_p99_pct", "low p99", "+%"},
               {"throughput_lost_pct", "lost", "%"},
               {"kept", "limits", "", Align::kLeft}});
  const auto percent = [](double share) { return Number{100 * share, 1}; };
  for (const RowAnswer& r : a.rows)
    table.AddRow({std::int64_t{r.servers}, percent(r.mean_power), percent(r.peak_power), percent(r.uncapped_peak),
                  percent(r.capped_share), r.brakes, percent(r.high.p50), percent(r.high.p99), percent(r.low.p50),
                  percent(r.low.p99), percent(r.throughput_lost), r.kept ? "kept" : "broken"});
  return table;
}

}  // namespace

std::string PowerText(const study::PowerScenario& s, const study::PowerAnswer& a) {
  std::string text;
  if (!s.engine.base.question.empty()) text += s.engine.base.question + "\n\n";
  text += s.engine.base.model.name + " on servers of " + Grouped(s.engine.base.cluster.node.gpus) + " x " +
          s.engine.base.cluster.node.gpu.name + ", budget " + ThreeDigits(a.budget_watts / kKilo) + " kW for " +
          Grouped(s.servers) + "\n";
  text += "a request: " + HumanTime(Seconds(a.prompt_seconds)) + " of prompt at " +
          ThreeDigits(a.prompt_watts / kKilo) + " kW a server, " + HumanTime(Seconds(a.decode_seconds)) +
          " of tokens at " + ThreeDigits(a.decode_watts / kKilo) + " kW; idle " + ThreeDigits(a.idle_watts / kKilo) +
          " kW\n\n";
  text += RowsTable(a).Text() + "\n";
  if (a.most_added)
    text += "most servers that keep the limits: " + Grouped(s.servers + *a.most_added) + ", " +
            Percent(static_cast<double>(*a.most_added) / s.servers) + " more\n";
  else text += "not even the servers that the budget was made for keep the limits\n";
  return text;
}

std::string PowerJson(const study::PowerScenario& s, const study::PowerAnswer& a, const std::string& command) {
  ordered_json rows = ordered_json::array();
  for (const RowAnswer& r : a.rows) rows.push_back(RowJson(r));
  ordered_json answer = {{"schema_version", 1},
                         {"kind", "power"},
                         {"scenario",
                          {{"file", s.engine.base.file},
                           {"question", s.engine.base.question},
                           {"model", s.engine.base.model.name},
                           {"gpu", s.engine.base.cluster.node.gpu.name},
                           {"servers", s.servers},
                           {"defaults", s.engine.defaults}}},
                         {"budget_w", a.budget_watts},
                         {"prompt_s", a.prompt_seconds},
                         {"decode_s", a.decode_seconds},
                         {"prompt_w", a.prompt_watts},
                         {"decode_w", a.decode_watts},
                         {"idle_w", a.idle_watts},
                         {"rows", rows},
                         {"provenance", Provenance(command)}};
  if (a.most_added) answer["most_added_share"] = static_cast<double>(*a.most_added) / s.servers;
  return Printed(answer);
}

}  // namespace isochrone::cli
