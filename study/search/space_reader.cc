// Sweep files: a scenario whose values may be lists, ranges or "search", and an object "sweep" that says what is
// wanted.
#include <nlohmann/json.hpp>

#include <algorithm>

#include "base/error.h"
#include "base/json.h"
#include "plan/catalogue.h"
#include "plan/readers.h"
#include "plan/strategy.h"
#include "study/search/axis_reader.h"
#include "study/search/space.h"

namespace isochrone::study {
namespace {

using nlohmann::json;
using plan::Found;

constexpr std::size_t kMostBases = 10'000;

struct BaseAxis {
  std::string pointer;
  std::vector<json> values;
  std::vector<std::int64_t> sequences;  // [value] the batch that goes with it; empty: the file's
};

/// Finds lists and ranges below `value`. Text for people and fabrics hold lists of their own.
void FindLists(const Json& value, const std::string& pointer, std::vector<BaseAxis>& axes) {
  const std::vector<json> listed = Listed(value);
  if (!listed.empty()) {
    axes.push_back({pointer, listed, {}});
  } else if (value.IsObject()) {
    for (const std::string& key : value.Keys()) {
      if (key != "sources" && key != "fabric") FindLists(value.At(key), pointer + "/" + key, axes);
    }
  }
}

std::string Shown(const json& v) { return v.is_string() ? v.get<std::string>() : v.dump(); }

void ReadWanted(const Json& wanted, Space& space) {
  wanted.Allow({"objective", "best", "constraints", "scaling", "tokens", "gpu_hour_usd"});
  if (const auto objective = wanted.Find("objective"))
    space.objective = static_cast<Objective>(objective->OneOf(ObjectiveNames()));
  if (const auto tokens = wanted.Find("tokens")) space.tokens = tokens->Number(1, 1e18);
  const bool of_training = space.objective == Objective::kGpuHours || space.objective == Objective::kDays;
  if (of_training && space.tokens == 0) wanted.Fail("asks how long a training takes", "give its tokens, say 300e9");
  if (space.objective == Objective::kCostPerToken && !wanted.Has("gpu_hour_usd"))
    wanted.Fail("asks for a cost", "give gpu_hour_usd, the price of a GPU for an hour");
  if (const auto best = wanted.Find("best")) space.best = static_cast<int>(best->Int(1, 10'000));
  const auto limits = wanted.Find("constraints");
  if (!limits) return;
  limits->Allow({"fits", "idle_gpus", "round_batch_down", "tensor_within_node", "tensor_fills_node", "even_pipeline",
                 "most_gpus", "memory_gib"});
  Constraints& c = space.constraints;
  if (const auto v = limits->Find("fits")) c.fits = v->Bool();
  if (const auto v = limits->Find("idle_gpus")) c.idle_gpus = v->Bool();
  if (const auto v = limits->Find("round_batch_down")) c.round_batch_down = v->Bool();
  if (const auto v = limits->Find("tensor_within_node")) c.tensor_within_node = v->Bool();
  if (const auto v = limits->Find("tensor_fills_node")) c.tensor_fills_node = v->Bool();
  if (const auto v = limits->Find("even_pipeline")) c.even_pipeline = v->Bool();
  if (const auto v = limits->Find("most_gpus")) c.most_gpus = static_cast<int>(v->Int(1, 10'000'000));
  if (const auto v = limits->Find("memory_gib")) c.memory_bytes = v->Number(1e-6, 1e9) * kGibi;
}

/// Of a GPU for an hour in a base's cluster: one price for all, or an object with one for each GPU's name.
double GpuHourUsd(const std::optional<Json>& wanted, const plan::Scenario& base) {
  const auto price = wanted ? wanted->Find("gpu_hour_usd") : std::nullopt;
  if (!price) return 0;
  const std::string& gpu = base.cluster.node.gpu.name;
  if (price->IsObject() && !price->Has(gpu)) price->Fail("has no price of " + gpu, "add it");
  return (price->IsObject() ? price->At(gpu) : *price).Number(1e-9, 1e9);
}

/// 64-bit FNV-1a.
std::string DigestOf(const std::string& text) {
  std::uint64_t hash = 0xcbf29ce484222325u;
  for (unsigned char c : text) hash = (hash ^ c) * 0x100000001b3u;
  char hex[17];
  std::snprintf(hex, sizeof hex, "%016llx", static_cast<unsigned long long>(hash));
  return hex;
}

/// What one document of a sweep says: its lists over model, cluster and batch, and what its strategy varies.
struct Document {
  json concrete;  // one value for every key
  std::vector<Varied> varied;
  std::vector<BaseAxis> outer;
  std::vector<std::string> named;        // values of keys that come before those of `outer`
  std::optional<plan::Scenario> chosen;  // the scenario that it starts from
};

/// "scaling": the batch grows with the nodes (weak), or does not (strong).
void AddScaling(const Json& scaling, Document& document) {
  static const std::vector<std::string> kinds = {"strong", "weak"};
  scaling.Allow({"kind", "nodes"});
  const bool weak = scaling.At("kind").OneOf(kinds) == 1;
  const Json nodes = scaling.At("nodes");
  BaseAxis axis{"/cluster/nodes", Listed(nodes), {}};
  if (axis.values.empty()) nodes.Fail("is one value", "give a list or a range");
  const json& sequences = document.concrete["batch"]["sequences"];
  for (const json& n : axis.values) {
    if (!weak) continue;
    if (!sequences.is_number_integer() || !n.is_number_integer() || !axis.values.front().is_number_integer())
      nodes.Fail("scales a batch that is no whole number", "give whole numbers of nodes and batch/sequences");
    axis.sequences.push_back(sequences.get<std::int64_t>() * n.get<std::int64_t>() /
                             axis.values.front().get<std::int64_t>());
  }
  document.outer.push_back(std::move(axis));
}

Document DocumentOf(const Json& root, const std::optional<Json>& wanted, Space& space) {
  Document document;
  document.concrete = root.Raw();
  const Json strategy = root.At("strategy"), batch = root.At("batch");
  for (const std::string& key : strategy.Keys()) {
    if (!Varies(strategy.At(key), key)) continue;
    if (!plan::FindStrategyKey(key)) continue;  // the reader below says which key was meant
    document.varied.push_back({key, strategy.At(key)});
    document.concrete["strategy"].erase(key);
  }
  if (Varies(batch.At("microbatch"), "microbatch")) {
    document.varied.push_back({"microbatch", batch.At("microbatch")});
    document.concrete["batch"]["microbatch"] = 1;
  }
  space.data_follows = !strategy.Has("data");
  if (!document.concrete["strategy"].contains("data")) document.concrete["strategy"]["data"] = 1;
  for (const char* part : {"model", "cluster"}) FindLists(root.At(part), std::string("/") + part, document.outer);
  if (const auto sequences = batch.Find("sequences")) FindLists(*sequences, "/batch/sequences", document.outer);
  const auto scaling = wanted ? wanted->Find("scaling") : std::nullopt;
  space.scaled = scaling.has_value();
  if (scaling) AddScaling(*scaling, document);
  return document;
}

/// Adds the scenarios that the lists of `document` make.
void AddBases(Document& document, const std::optional<Json>& wanted, const Found& file, Space& space) {
  std::size_t count = 1;
  for (const BaseAxis& axis : document.outer) {
    count *= axis.values.size();
    if (space.bases.size() + count > kMostBases)
      throw Error(file.name,
                  "lists more than " + std::to_string(kMostBases) + " combinations of model, cluster and batch",
                  "shorten " + axis.pointer);
  }
  for (std::size_t i = 0; i < count; ++i) {
    std::size_t rest = i;
    std::vector<std::string> values(document.outer.size());
    for (std::size_t a = document.outer.size(); a-- > 0;) {
      const BaseAxis& axis = document.outer[a];
      const std::size_t v = rest % axis.values.size();
      rest /= axis.values.size();
      document.concrete[json::json_pointer(axis.pointer)] = axis.values[v];
      if (!axis.sequences.empty()) document.concrete["batch"]["sequences"] = axis.sequences[v];
      values[a] = Shown(axis.values[v]);
    }
    values.insert(values.begin(), document.named.begin(), document.named.end());
    space.base_values.push_back(std::move(values));
    space.chosen.push_back(document.chosen);
    plan::Scenario base = plan::ScenarioFrom(Json::Text(document.concrete.dump(), file.name), file);
    if (base.model.layers == 0) throw Error(file.name, "has a model without layers", "give layers");
    base.defaults.clear();
    base.question = space.question;
    space.axes.push_back(AxesOf(document.varied, base, space.constraints, file));
    space.gpu_hour_usd.push_back(GpuHourUsd(wanted, base));
    space.bases.push_back(std::move(base));
  }
}

/// A sweep that starts from scenarios: each says what the sweep does not.
void AddFromScenarios(const Json& root, const std::optional<Json>& wanted, const Found& file, Space& space) {
  const Json from = root.At("scenario");
  std::vector<Json> names;
  if (from.IsArray()) names = from.Items();
  else names = {from};
  space.base_keys.push_back("/scenario");
  for (const Json& name : names) {
    const Found scenario = plan::FindReference(name, file);
    json merged = plan::ReadJson(scenario).Raw();
    for (const char* key : {"question", "published", "sources"}) merged.erase(key);
    const json& over = root.Raw();
    if (merged.contains("strategy") && !(over.contains("strategy") && over["strategy"].contains("data")))
      merged["strategy"].erase("data");
    for (const char* part : {"model", "cluster"}) {
      if (over.contains(part)) merged[part] = over[part];
    }
    for (const char* part : {"batch", "strategy"}) {
      if (over.contains(part)) merged[part].update(over[part]);
    }
    Document document = DocumentOf(Json::Text(merged.dump(), scenario.name), wanted, space);
    document.chosen = plan::ReadScenario(scenario.path);
    document.named = {scenario.name};
    if (space.bases.empty()) {
      for (const BaseAxis& axis : document.outer) space.base_keys.push_back(axis.pointer);
    }
    AddBases(document, wanted, scenario, space);
  }
}

Space SpaceFrom(const Json& root, const Found& file) {
  root.Allow({"question", "scenario", "model", "cluster", "batch", "strategy", "sweep", "sources"});
  Space space;
  space.file = file.name;
  space.digest = DigestOf(root.Raw().dump());
  if (const auto question = root.Find("question")) space.question = question->String();
  const auto wanted = root.Find("sweep");
  if (wanted) ReadWanted(*wanted, space);
  if (root.Has("scenario")) {
    AddFromScenarios(root, wanted, file, space);
    return space;
  }
  json plain = root.Raw();
  plain.erase("sweep");
  Document document = DocumentOf(Json::Text(plain.dump(), file.name), wanted, space);
  for (const BaseAxis& axis : document.outer) space.base_keys.push_back(axis.pointer);
  AddBases(document, wanted, file, space);
  return space;
}

}  // namespace

Space ReadSpace(const std::string& path) {
  const Found file = plan::FindFile(path);
  return SpaceFrom(plan::ReadJson(file), file);
}

Space ReadSpaceAt(const std::string& path, const std::string& pointer, double value) {
  const Found file = plan::FindFile(path);
  json root = plan::ReadJson(file).Raw();
  const json::json_pointer place(pointer);
  ISO_CHECK(root.contains(place));
  const auto whole = static_cast<std::int64_t>(value);
  root[place] = json::array({static_cast<double>(whole) == value ? json(whole) : json(value)});
  return SpaceFrom(Json::Text(root.dump(), file.name), file);
}

}  // namespace isochrone::study
