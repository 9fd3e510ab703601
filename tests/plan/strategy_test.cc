#include "plan/strategy.h"

#include <fstream>
#include <iterator>

#include <catch2/catch.hpp>

using namespace isochrone;
using namespace isochrone::plan;

TEST_CASE("the page about scenarios lists every strategy key as the table has it", "[strategy]") {
  std::ifstream in(std::string(ISO_SOURCE_DIR) + "/docs/scenarios.md");
  const std::string page{std::istreambuf_iterator<char>(in), {}};
  std::string table;
  for (const StrategyKey& key : StrategyKeys()) {
    const std::string fallback = key.name == "data" ? "from the GPUs" : key.show(Strategy{});
    table += "| `" + key.name + "` | " + fallback + " | " + key.meaning + " |\n";
  }
  CHECK(page.ends_with("| --- | --- | --- |\n" + table));
}

TEST_CASE("a value that a key shows can be set again", "[strategy]") {
  const Found nowhere{"s.json", "s.json"};
  for (const StrategyKey& key : StrategyKeys()) {
    if (key.name == "schedule_text" || key.name == "expert_load") continue;  // read from files and lists
    Strategy strategy;
    const std::string shown = key.show(strategy);
    const bool bare =
        shown == "true" || shown == "false" || shown.find_first_not_of("0123456789.") == std::string::npos;
    const Json value = Json::Text("[" + (bare ? shown : "\"" + shown + "\"") + "]", "s.json").At(0);
    key.set(value, nowhere, strategy);
    CHECK(key.show(strategy) == shown);
  }
}

TEST_CASE("keys of the strategy are set from their words", "[strategy]") {
  std::vector<std::string> defaults;
  const Json object = Json::Text(R"({ "recompute": "full", "precision": "mxfp8", "rank_order": "pipeline_inner",
    "moment_dtype": "int8", "expert_load": [3, 1], "offload_optimizer": "host", "context_form": "ulysses" })",
                                 "s.json");
  const Strategy s = ReadStrategy({object}, {"s.json", "s.json"}, defaults);
  CHECK(s.recompute == Recompute::kFull);
  CHECK(s.precision == Dtype::kMxfp8);
  CHECK(s.rank_order == RankOrder::kPipelineInner);
  CHECK(s.moment_dtype == Dtype::kInt8);
  CHECK(s.expert_load == std::vector<double>{0.75, 0.25});
  CHECK(s.offload_optimizer == OffloadTarget::kHost);
  CHECK(s.context_form == ContextForm::kUlysses);
  CHECK(defaults.size() + 7 + 1 == StrategyKeys().size());  // `data` has no default of its own
}
