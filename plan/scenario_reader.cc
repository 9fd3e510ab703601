#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/text.h"
#include "plan/parameters.h"
#include "plan/readers.h"
#include "plan/scenario.h"
#include "plan/strategy.h"

namespace isochrone::plan {
namespace {

constexpr std::int64_t kMaxSequences = 1'000'000;

/// Megatron-LM's arguments in the scenario itself, if any.
std::optional<MegatronArguments> ArgumentsOf(const Json& root) {
  const auto text = root.Find("megatron_arguments");
  if (!text) return std::nullopt;
  return FromMegatron(text->String(), root.FileName() + ": /megatron_arguments");
}

/// The value of `key` in the file, or else from the arguments. In both is an error.
Json EitherOf(const Json& root, const std::optional<MegatronArguments>& arguments, const char* key) {
  if (!arguments || !arguments->scenario.Has(key)) return root.At(key);
  if (const auto own = root.Find(key)) own->Fail("is also given by megatron_arguments", "keep one of them");
  return arguments->scenario.At(key);
}

Model ReadModelOf(const Json& value, const Found& file) {
  const Part part = PartOf(value, file, OpenModel);
  const bool inline_only = !value.IsString() && !value.Has("base");
  return ModelFrom(part.fields, inline_only ? value.Where() : part.places.back().name);
}

Batch ReadBatch(const Json& object) {
  object.Allow({"sequences", "microbatch"});
  Batch batch;
  batch.sequences = object.At("sequences").Int(1, kMaxSequences);
  batch.microbatch = object.At("microbatch").Int(1, kMaxSequences);
  return batch;
}

Published ReadPublished(const Json& object) {
  object.Allow({"step_time_s", "source"});
  Published published;
  if (const auto time = object.Find("step_time_s")) published.step_time = Seconds(time->Number(1e-9, 1e9));
  published.source = object.At("source").String();
  return published;
}

/// The GPUs that tensor, pipeline and context leave over.
int DerivedData(const Scenario& scenario) {
  const Strategy& s = scenario.strategy;
  const double others = 1.0 * s.tensor * s.pipeline * s.context;
  const int gpus = scenario.cluster.Gpus();
  if (others > gpus) return 1;  // Check says what is wrong
  const int replica = static_cast<int>(others);
  if (gpus % replica != 0) {
    throw Error(scenario.file + ": /strategy",
                "lacks \"data\", and tensor · pipeline · context = " + std::to_string(replica) +
                    " does not divide the " + std::to_string(gpus) + " GPUs of the cluster",
                "add \"data\": " + std::to_string(gpus / replica) + " to leave " + std::to_string(gpus % replica) +
                    " GPUs idle");
  }
  return gpus / replica;
}

void ReadParallelism(const Json& root, const std::optional<MegatronArguments>& arguments, const Found& file,
                     Scenario& scenario) {
  std::vector<Json> objects;
  if (const auto own = root.Find("strategy")) objects.push_back(*own);
  if (arguments && arguments->scenario.Has("strategy")) objects.push_back(arguments->scenario.At("strategy"));
  if (objects.empty()) root.At("strategy");  // throws
  scenario.strategy = ReadStrategy(objects, file, scenario.defaults);
  bool stated = false;
  for (const Json& object : objects) stated |= object.Has("data");
  if (stated) return;
  scenario.strategy.data = DerivedData(scenario);
  scenario.defaults.push_back("data = " + std::to_string(scenario.strategy.data));
}

void PadVocabulary(Scenario& scenario) {
  const std::int64_t tokens = scenario.model.vocabulary, trained = TrainedVocabulary(scenario, tokens);
  if (trained == tokens) return;
  scenario.model.vocabulary = trained;
  scenario.notes.push_back("vocabulary of " + Grouped(tokens) + " padded to " + Grouped(trained) +
                           ", a multiple of 128 · tensor, as Megatron-LM does");
}

void NoteIdleGpus(Scenario& scenario) {
  const int ranks = LayoutOf(scenario).World(), gpus = scenario.cluster.Gpus();
  if (ranks < gpus) {
    scenario.notes.push_back(std::to_string(gpus - ranks) + " of the cluster's " + std::to_string(gpus) +
                             " GPUs have no rank");
  }
}

}  // namespace

Scenario ScenarioFrom(const Json& root, const Found& file) {
  root.Allow({"question", "model", "cluster", "batch", "strategy", "published", "megatron_arguments", "sources"});
  const auto arguments = ArgumentsOf(root);
  Scenario scenario;
  scenario.file = file.name;
  if (const auto question = root.Find("question")) scenario.question = question->String();
  scenario.model = ReadModelOf(EitherOf(root, arguments, "model"), file);
  scenario.cluster = ClusterFrom(root.At("cluster"), file);
  scenario.batch = ReadBatch(EitherOf(root, arguments, "batch"));
  ReadParallelism(root, arguments, file, scenario);
  if (const auto published = root.Find("published")) scenario.published = ReadPublished(*published);
  if (arguments) {
    for (const std::string& ignored : arguments->ignored) scenario.notes.push_back("ignored " + ignored);
  }
  return scenario;
}

Scenario ReadScenario(const std::string& path) {
  const Found file = FindFile(path);
  Scenario scenario = ScenarioFrom(ReadJson(file), file);
  PadVocabulary(scenario);
  Check(scenario);
  NoteIdleGpus(scenario);
  return scenario;
}

}  // namespace isochrone::plan
