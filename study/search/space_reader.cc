// Sweep files: a scenario whose values may be lists, ranges or "search", and an object "sweep" that says what is
// wanted.
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/json.h"
#include "plan/catalogue.h"
#include "plan/readers.h"
#include "plan/scenario_names.h"
#include "plan/strategy.h"
#include "study/search/space.h"

namespace isochrone::study {
namespace {

using nlohmann::json;
using plan::Found;

constexpr std::size_t kMostBases = 10'000, kMostValues = 100'000;
constexpr int kMostMicrobatch = 32, kMostChunks = 16;
constexpr const char* kSearch = "search";

bool IsRange(const json& v) { return v.is_object() && v.contains("from") && v.contains("to"); }

/// {"from": 8, "to": 64, "step": 8} or {"from": 8, "to": 64, "times": 2}, both ends included.
std::vector<json> ValuesOfRange(const Json& range) {
  range.Allow({"from", "to", "step", "times"});
  const double from = range.At("from").Number(-1e15, 1e15), to = range.At("to").Number(from, 1e15);
  const auto times = range.Find("times");
  const auto step = range.Find("step");
  if (times && step) range.Fail("has both \"step\" and \"times\"", "keep one of them");
  const double factor = times ? times->Number(1 + 1e-9, 1e15) : 1, plus = times  ? 0
                                                                          : step ? step->Number(1e-12, 1e15)
                                                                                 : 1;
  if (times && from <= 0) range.Fail("multiplies from " + range.At("from").Where(), "start above 0");
  std::vector<json> values;
  for (double v = from; v <= to * (1 + 1e-12); v = v * factor + plus) {
    values.push_back(v == std::floor(v) ? json(static_cast<std::int64_t>(v)) : json(v));
    if (values.size() > kMostValues)
      range.Fail("has more than " + std::to_string(kMostValues) + " values", "take larger steps");
  }
  return values;
}

/// The values that `value` lists, or none where it is one value.
std::vector<json> Listed(const Json& value) {
  if (IsRange(value.Raw())) return ValuesOfRange(value);
  if (!value.IsArray()) return {};
  std::vector<json> values(value.Raw().begin(), value.Raw().end());
  if (values.empty()) value.Fail("is an empty list", "give at least one value");
  return values;
}

// ---- lists over model, cluster and batch
// ------------------------------------------------------------------------------

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

// ---- axes of the strategy
// ---------------------------------------------------------------------------------------------

Level LevelOf(const std::string& key) {
  for (const char* k : {"pipeline", "data", "rank_order", "schedule", "chunks_per_rank", "first_stage_layers",
                        "last_stage_layers", "account_embedding_in_split", "overlap_pipeline", "scatter_gather"}) {
    if (key == k) return Level::kPipeline;
  }
  for (const char* k : {"optimizer_sharding", "shard_group", "zero2_reduce_every_microbatch", "overlap_data",
                        "overlap_parameter_gather"}) {
    if (key == k) return Level::kStep;
  }
  return Level::kBlock;
}

/// Where an axis stands in the walk: degrees first, so that an impossible layout is seen before its schedules.
int PlaceOf(const std::string& key) {
  static const std::vector<std::string> order = {"tensor", "context", "expert", "expert_tensor", "sequence_parallel"};
  const auto it = std::find(order.begin(), order.end(), key);
  const int level = static_cast<int>(LevelOf(key)) * 100;
  if (it != order.end()) return level + static_cast<int>(it - order.begin());
  if (key == "overlap_pipeline" || key == "scatter_gather") return level + 90;  // they change messages only
  return level + (key == "pipeline" ? 0 : key == "data" ? 1 : key == "rank_order" ? 2 : 50);
}

std::vector<json> Divisors(std::int64_t n, std::int64_t most) {
  std::vector<json> values;
  for (std::int64_t v = 1; v <= std::min(n, most); ++v) {
    if (n % v == 0) values.push_back(v);
  }
  return values;
}

std::vector<json> UpTo(std::int64_t from, std::int64_t most) {
  std::vector<json> values;
  for (std::int64_t v = from; v <= most; ++v) values.push_back(v);
  return values;
}

std::vector<json> Words(const std::vector<std::string>& names) { return {names.begin(), names.end()}; }

/// What "search" stands for.
std::vector<json> Searched(const Json& value, const std::string& key, const plan::Scenario& base,
                           const Constraints& limits) {
  const int gpus = base.cluster.Gpus(), domain = base.cluster.node.domain_gpus;
  if (key == "microbatch") {
    return limits.round_batch_down ? UpTo(1, kMostMicrobatch) : Divisors(base.batch.sequences, kMostMicrobatch);
  }
  if (key == "tensor") return Divisors(base.model.heads, limits.tensor_within_node ? std::min(gpus, domain) : gpus);
  if (key == "context") return Divisors(base.model.sequence, std::min(gpus, 64));
  if (key == "expert") return Divisors(base.model.moe ? base.model.moe->experts : 1, gpus);
  if (key == "expert_tensor") return base.model.moe ? Divisors(base.model.moe->ffn, domain) : std::vector<json>{1};
  if (key == "pipeline") return UpTo(1, std::min(gpus, base.model.layers + 2));
  if (key == "data") return UpTo(1, gpus);
  if (key == "chunks_per_rank") return UpTo(1, std::min(kMostChunks, base.model.layers));
  if (key == "recompute") return Words(plan::RecomputeNames());
  if (key == "optimizer_sharding") return Words(plan::ShardingNames());
  if (key == "rank_order") return Words(plan::RankOrderNames());
  if (key == "context_form") return Words(plan::ContextFormNames());
  if (key == "attention") return Words(plan::AttentionFormNames());
  if (key == "schedule") {
    std::vector<json> kinds;  // those whose order does not depend on times
    for (const std::string& name : plan::ScheduleNames()) {
      if (name != "text" && name != "zb_1p" && name != "zb_2p") kinds.push_back(name);
    }
    return kinds;
  }
  const plan::StrategyKey* known = plan::FindStrategyKey(key);
  if (known && (known->show(plan::Strategy{}) == "true" || known->show(plan::Strategy{}) == "false"))
    return {false, true};
  value.Fail("cannot be searched", "give a list");
}

Axis AxisOf(const Json& value, const std::string& key, std::vector<json> values, const Found& file) {
  Axis axis;
  axis.key = key;
  axis.level = LevelOf(key);
  if (key == "microbatch") {
    std::vector<std::int64_t> numbers;
    for (const json& v : values) {
      numbers.push_back(Json::Text("[" + v.dump() + "]", value.Where()).At(0).Int(1, 1'000'000));
      axis.values.push_back(std::to_string(numbers.back()));
    }
    axis.set = [numbers](std::size_t i, plan::Scenario& s) { s.batch.microbatch = numbers[i]; };
    return axis;
  }
  // Each value is read once, into a strategy of its own; setting copies the members that reading changed.
  const plan::StrategyKey* known = plan::FindStrategyKey(key);
  ISO_CHECK(known != nullptr);
  for (const json& v : values) {
    plan::Strategy probe;
    known->set(Json::Text("[" + v.dump() + "]", value.Where()).At(0), file, probe);
    axis.values.push_back(known->show(probe));
  }
  struct Degree {
    const char* key;
    int plan::Strategy::*member;
  };
  using S = plan::Strategy;
  for (const Degree& d : {Degree{"tensor", &S::tensor},
                          {"pipeline", &S::pipeline},
                          {"data", &S::data},
                          {"context", &S::context},
                          {"expert", &S::expert},
                          {"expert_tensor", &S::expert_tensor},
                          {"chunks_per_rank", &S::chunks_per_rank}}) {
    if (key != d.key) continue;
    std::vector<int> numbers;
    for (const json& v : values) numbers.push_back(v.get<int>());
    axis.set = [numbers, member = d.member](std::size_t i, plan::Scenario& s) { s.strategy.*member = numbers[i]; };
    return axis;
  }
  std::vector<Json> parsed;
  for (const json& v : values) parsed.push_back(Json::Text("[" + v.dump() + "]", value.Where()).At(0));
  axis.set = [parsed, known, file](std::size_t i, plan::Scenario& s) { known->set(parsed[i], file, s.strategy); };
  return axis;
}

/// A list, a range or "search" under strategy or batch/microbatch.
bool Varies(const Json& value, const std::string& key) {
  if (key == "expert_load") return false;  // a list is its value
  return (value.IsString() && value.String() == kSearch) || value.IsArray() || IsRange(value.Raw());
}

struct Varied {
  std::string key;
  Json value;
};

std::vector<Axis> AxesOf(const std::vector<Varied>& varied, plan::Scenario& base, const Constraints& limits,
                         const Found& file) {
  std::vector<Axis> axes;
  for (const Varied& v : varied) {
    const bool search = v.value.IsString();
    axes.push_back(AxisOf(v.value, v.key, search ? Searched(v.value, v.key, base, limits) : Listed(v.value), file));
    axes.back().set(0, base);
  }
  std::stable_sort(axes.begin(), axes.end(),
                   [](const Axis& a, const Axis& b) { return PlaceOf(a.key) < PlaceOf(b.key); });
  return axes;
}

// ---- what is wanted
// ---------------------------------------------------------------------------------------------------

void ReadWanted(const Json& wanted, Space& space) {
  wanted.Allow({"objective", "best", "constraints", "scaling"});
  if (const auto objective = wanted.Find("objective"))
    space.objective = static_cast<Objective>(objective->OneOf(ObjectiveNames()));
  if (const auto best = wanted.Find("best")) space.best = static_cast<int>(best->Int(1, 10'000));
  const auto limits = wanted.Find("constraints");
  if (!limits) return;
  limits->Allow({"fits", "idle_gpus", "round_batch_down", "tensor_within_node", "most_gpus", "memory_gib"});
  Constraints& c = space.constraints;
  if (const auto v = limits->Find("fits")) c.fits = v->Bool();
  if (const auto v = limits->Find("idle_gpus")) c.idle_gpus = v->Bool();
  if (const auto v = limits->Find("round_batch_down")) c.round_batch_down = v->Bool();
  if (const auto v = limits->Find("tensor_within_node")) c.tensor_within_node = v->Bool();
  if (const auto v = limits->Find("most_gpus")) c.most_gpus = static_cast<int>(v->Int(1, 10'000'000));
  if (const auto v = limits->Find("memory_gib")) c.memory_bytes = v->Number(1e-6, 1e9) * kGibi;
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
  if (scaling) AddScaling(*scaling, document);
  return document;
}

/// Adds the scenarios that the lists of `document` make.
void AddBases(Document& document, const Found& file, Space& space) {
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
    AddBases(document, scenario, space);
  }
}

}  // namespace

Space ReadSpace(const std::string& path) {
  const Found file = plan::FindFile(path);
  const Json root = plan::ReadJson(file);
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
  AddBases(document, file, space);
  return space;
}

}  // namespace isochrone::study
