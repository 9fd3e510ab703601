#include <nlohmann/json.hpp>

#include <memory>
#include <set>

#include "base/table.h"
#include "base/text.h"
#include "cli/answer_parts.h"
#include "cli/answering.h"
#include "cli/verb.h"
#include "study/advise.h"

namespace isochrone::cli {
namespace {

using nlohmann::ordered_json;
using study::ShapeAnswer;

struct Asked {
  std::string scenario;
  double more = 1, fewer = 10;
  int most = 8;
  Answering how;
};

double Gain(double now, double before) { return 100 * (now / before - 1); }

/// The model itself first, then at most `most` shapes.
Table ShapeTable(const study::Advice& advice, int most) {
  Table table({{"change", "change", "", Align::kLeft},
               {"rule", "rule", "", Align::kLeft},
               {"share_pct", "of what is saved", "%"},
               {"parameters_1e9", "parameters", "10^9"},
               {"step_time_s", "step", "s"},
               {"tflops_per_gpu", "TFLOP/s per GPU"},
               {"tflops_gain_pct", "gain", "%"},
               {"tokens_per_s", "tokens/s"},
               {"tokens_gain_pct", "gain", "%"}});
  const ShapeAnswer& base = advice.model;
  const std::monostate none;
  table.AddRow({std::string("the model as it is"), none, none, Number{base.parameters * 1e-9, 2},
                Number{base.step_s, 3}, Number{base.tflops_per_gpu, 1}, none, Number{base.tokens_per_s, 0}, none});
  for (std::size_t i = 0; i < advice.better.size() && i < static_cast<std::size_t>(most); ++i) {
    const ShapeAnswer& a = advice.better[i];
    table.AddRow({a.change, std::string(NameOf(a.rule)), Number{100 * a.share, 0}, Number{a.parameters * 1e-9, 2},
                  Number{a.step_s, 3}, Number{a.tflops_per_gpu, 1},
                  Number{Gain(a.tflops_per_gpu, base.tflops_per_gpu), 1}, Number{a.tokens_per_s, 0},
                  Number{Gain(a.tokens_per_s, base.tokens_per_s), 1}});
  }
  return table;
}

/// The rules that the first `most` shapes owe their gain to.
std::set<study::ShapeRule> RulesOf(const study::Advice& advice, int most) {
  std::set<study::ShapeRule> named;
  for (std::size_t i = 0; i < advice.better.size() && i < static_cast<std::size_t>(most); ++i) {
    named.insert(advice.better[i].rule);
  }
  return named;
}

ordered_json RulesJson(const study::Advice& advice) {
  ordered_json rules = ordered_json::object();
  for (const study::ShapeRule rule : RulesOf(advice, static_cast<int>(advice.better.size()))) {
    rules[std::string(NameOf(rule))] = MeaningOf(rule);
  }
  return rules;
}

std::string Text(const study::Advice& advice, const Asked& asked) {
  std::string text = ShapeTable(advice, asked.most).Text() + "\n";
  for (const study::ShapeRule rule : RulesOf(advice, asked.most)) {
    text += std::string(NameOf(rule)) + ": " + MeaningOf(rule) + "\n";
  }
  text += Grouped(advice.tried) + " shapes tried, of at most " + Fixed(asked.more, 0) + "% more and " +
          Fixed(asked.fewer, 0) + "% fewer parameters; " + Grouped(static_cast<std::int64_t>(advice.better.size())) +
          " run faster\n";
  if (!advice.better.empty()) text += "A smaller model has more tokens a second for its size alone: compare TFLOP/s.\n";
  return text;
}

std::string JsonText(const study::Advice& advice, const Asked& asked) {
  const ordered_json rows = ordered_json::parse(ShapeTable(advice, static_cast<int>(advice.better.size())).Json());
  const std::string command = "isochrone advise " + asked.scenario + " --more " + ThreeDigits(asked.more) +
                              " --fewer " + ThreeDigits(asked.fewer);
  return Printed({{"schema_version", 1},
                  {"kind", "advise"},
                  {"scenario", ScenarioJson(advice.model.scenario)},
                  {"tried", advice.tried},
                  {"model", rows.front()},
                  {"better", ordered_json(rows.begin() + 1, rows.end())},
                  {"rules", RulesJson(advice)},
                  {"provenance", Provenance(command, {{"profile", ProfileNameOf(advice.model.scenario)}})}});
}

}  // namespace

Verb AdviseVerb() {
  return {.name = "advise",
          .summary = "model shapes near this one that run faster, and which rule makes the difference",
          .example = "isochrone advise scenarios/examples/shapes/gpt3_2.7b_on_8_a100.json",
          .declare = [](Options& options) {
            auto asked = std::make_shared<Asked>();
            options.Positional(asked->scenario, "scenario", "a scenario file");
            options.Number(asked->more, "--more", 0, 100, "percent of parameters that a shape may have more");
            options.Number(asked->fewer, "--fewer", 0, 90, "percent of parameters that a shape may have fewer");
            options.Whole(asked->most, "--most", 1, 1000, "shapes to print");
            DeclareAnswering(options, asked->how);
            return [asked] {
              const study::Advice advice = study::Advise(plan::ReadScenario(asked->scenario),
                                                         {.more = asked->more / 100, .fewer = asked->fewer / 100});
              Give(
                  asked->how, asked->scenario, [&] { return JsonText(advice, *asked); },
                  [&] { return Text(advice, *asked); });
              return kAnswered;
            };
          }};
}

}  // namespace isochrone::cli
