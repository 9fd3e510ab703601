#include "cli/serving_answer.h"

#include <nlohmann/json.hpp>

#include "base/table.h"
#include "base/text.h"
#include "cli/answer_parts.h"

namespace isochrone::cli {
namespace {

using nlohmann::ordered_json;
using study::Percentiles;
using study::ServeAnswer;
using study::ServeScenario;

std::string SchedulerOf(const ServeScenario& s) {
  return s.separation ? "separated" : sim::serving::SchedulerNames()[static_cast<std::size_t>(s.scheduler)];
}

ordered_json PercentilesJson(const Percentiles& p) {
  return {{"mean_s", p.mean}, {"p50_s", p.p50}, {"p90_s", p.p90}, {"p99_s", p.p99}};
}

ordered_json OverTimeJson(const ServeAnswer& a) {
  ordered_json list = ordered_json::array();
  for (const study::ServingMoment& m : a.over_time) {
    list.push_back({{"start_s", m.start},
                    {"end_s", m.end},
                    {"prompt_share", m.prompt_share},
                    {"decode_share", m.decode_share},
                    {"waiting", m.waiting},
                    {"answering", m.answering},
                    {"watts", m.watts}});
  }
  return list;
}

}  // namespace

std::string ServingText(const ServeScenario& s, const ServeAnswer& a) {
  const plan::InferenceScenario& e = s.engine;
  std::string text;
  if (!e.base.question.empty()) text += e.base.question + "\n\n";
  text += e.base.model.name + " on " + Grouped(a.gpus) + " x " + e.base.cluster.node.gpu.name + ", scheduler " +
          SchedulerOf(s) + ", " + Grouped(static_cast<std::int64_t>(a.requests)) + " requests\n\n";
  Table table({{"what", "", "", Align::kLeft},
               {"mean_s", "mean", "s"},
               {"p50_s", "p50", "s"},
               {"p90_s", "p90", "s"},
               {"p99_s", "p99", "s"}});
  const auto add = [&](const char* what, const Percentiles& p, int decimals) {
    table.AddRow(
        {what, Number{p.mean, decimals}, Number{p.p50, decimals}, Number{p.p90, decimals}, Number{p.p99, decimals}});
  };
  add("first token", a.first_token, 3), add("each further token", a.per_token, 4), add("whole answer", a.latency, 2);
  text += table.Text() + "\n";
  text += "gaps        " + HumanTime(Seconds(a.gap_p50)) + " between tokens in the middle, " +
          HumanTime(Seconds(a.gap_p99)) + " for the slowest 1 of 100\n";
  text += "served      " + ThreeDigits(a.requests_per_s) + " requests/s, " + ThreeDigits(a.output_tokens_per_s) +
          " tokens/s, engines busy " + Percent(a.utilisation) + ", " + ThreeDigits(a.joules_per_output_token) +
          " J per output token\n";
  if (s.objective)
    text += "objective   kept by " + Percent(a.kept) + " of the requests: goodput " + ThreeDigits(a.goodput) +
            " requests/s\n";
  if (a.highest_rate)
    text += "highest     " + ThreeDigits(*a.highest_rate) + " requests/s, " + ThreeDigits(*a.highest_rate / a.gpus) +
            " a GPU, keep it for " + Percent(s.objective->share, 0) + "\n";
  if (a.request_bubble.mean > 0)
    text += "bubbles     " + HumanTime(Seconds(a.request_bubble.p50)) + " for the request in the middle, " +
            ThreeDigits(a.bubble_seconds) + " stage-seconds in all\n";
  if (a.preemptions > 0) text += "preempted   " + Grouped(a.preemptions) + " times\n";
  for (const std::string& warning : a.warnings) text += "warning: " + warning + "\n";
  return text;
}

std::string ServingJson(const ServeScenario& s, const ServeAnswer& a, const std::string& command) {
  ordered_json answer = {{"schema_version", 1},
                         {"kind", "serving"},
                         {"scenario",
                          {{"file", s.engine.base.file},
                           {"question", s.engine.base.question},
                           {"model", s.engine.base.model.name},
                           {"gpu", s.engine.base.cluster.node.gpu.name},
                           {"gpus", a.gpus},
                           {"scheduler", SchedulerOf(s)},
                           {"engine", s.engine.strategy.engine},
                           {"rate_per_s", s.rate},
                           {"defaults", s.engine.defaults}}},
                         {"requests", a.requests},
                         {"turned_away", a.turned_away},
                         {"ttft", PercentilesJson(a.first_token)},
                         {"tpot", PercentilesJson(a.per_token)},
                         {"latency", PercentilesJson(a.latency)},
                         {"gap_p50_s", a.gap_p50},
                         {"gap_p99_s", a.gap_p99},
                         {"requests_per_s", a.requests_per_s},
                         {"output_tokens_per_s", a.output_tokens_per_s},
                         {"kept_share", a.kept},
                         {"goodput_requests_per_s", a.goodput},
                         {"utilisation", a.utilisation},
                         {"joules_per_output_token", a.joules_per_output_token},
                         {"prompt_step_s", a.prompt_step},
                         {"end_s", a.end},
                         {"bubble_stage_s", a.bubble_seconds},
                         {"request_bubble", PercentilesJson(a.request_bubble)},
                         {"steps", a.steps},
                         {"preemptions", a.preemptions},
                         {"cache_tokens", a.cache_tokens},
                         {"overloaded", a.overloaded},
                         {"over_time", OverTimeJson(a)},
                         {"warnings", a.warnings},
                         {"provenance", Provenance(command)}};
  if (a.highest_rate) answer["highest_rate_per_s"] = *a.highest_rate;
  if (s.objective) {
    answer["objective"] = {{"ttft_s", s.objective->first_token},
                           {"tpot_s", s.objective->per_token},
                           {"gap_s", s.objective->gap},
                           {"share", s.objective->share}};
  }
  return Printed(answer);
}

}  // namespace isochrone::cli
