// The demo: the eight rows of Korthikanti et al., Table 5, published against predicted. Nothing in it is precomputed.
#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "base/error.h"
#include "base/statistics.h"
#include "base/table.h"
#include "base/text.h"
#include "cli/verb.h"
#include "study/predict.h"

namespace isochrone::cli {
namespace {

constexpr const char* kPrefix = "korthikanti_";

std::vector<std::string> DemoScenarios() {
  namespace fs = std::filesystem;
  std::vector<std::string> files;
  const fs::path folder = fs::path(plan::CatalogueFolder()) / "published";
  if (fs::is_directory(folder)) {
    for (const auto& entry : fs::directory_iterator(folder)) {
      if (entry.path().filename().string().rfind(kPrefix, 0) == 0) files.push_back(entry.path());
    }
  }
  if (files.empty()) {
    throw Error(folder.string(), "holds no " + std::string(kPrefix) + "*.json",
                "install the catalogue, or point ISOCHRONE_CATALOGUE at it");
  }
  std::sort(files.begin(), files.end());
  return files;
}

int Demo() {
  std::printf("How long is a training step of GPT models of 22B to 1T parameters on 8 to 512 A100s?\n");
  std::printf("Published: Korthikanti et al., arXiv 2205.05198, Table 5. Predicted: now, on this machine.\n\n");
  Table table({{"model", "model", "", Align::kLeft},
               {"gpus", "GPUs"},
               {"recompute", "recompute", "", Align::kLeft},
               {"published_s", "published", "s"},
               {"predicted_s", "predicted", "s"},
               {"error_pct", "error", "%"},
               {"memory_gib", "memory", "GiB"},
               {"bubble_pct", "bubble / ideal", "%"}});
  std::vector<double> predicted, published;
  for (const std::string& file : DemoScenarios()) {
    const plan::Scenario scenario = plan::ReadScenario(file);
    const study::Prediction p = study::Predict(scenario);
    const plan::Metrics& m = p.metrics;
    Bytes peak;
    for (const plan::StageMemory& stage : m.memory) peak = Max(peak, stage.Total());
    predicted.push_back(m.step_time.value);
    published.push_back(scenario.published->step_time->value);
    table.AddRow({scenario.model.name, static_cast<std::int64_t>(p.plan.layout.World()),
                  std::string(scenario.strategy.recompute == plan::Recompute::kFull ? "full" : "selective"),
                  Number{published.back(), 2}, Number{predicted.back(), 2},
                  Number{100 * (predicted.back() / published.back() - 1), 1}, Number{peak.value / kGibi, 1},
                  Number{100 * m.bubble_over_ideal, 1}});
  }
  std::printf("%s\nmean absolute error %s, no constant fitted to these rows\n", table.Text().c_str(),
              Percent(MeanAbsoluteRelativeError(predicted, published)).c_str());
  std::printf("next: isochrone explain scenarios/examples/gpt3_on_64_a100.json, or README.md\n");
  return kAnswered;
}

}  // namespace

Verb DemoVerb() {
  return {.name = "demo",
          .summary = "published against predicted for eight training runs",
          .example = "isochrone demo",
          .declare = [](Options&) { return [] { return Demo(); }; }};
}

}  // namespace isochrone::cli
