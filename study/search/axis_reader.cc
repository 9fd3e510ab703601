// Values that vary in a sweep file, and the axes that keys of the strategy make.
#include "study/search/axis_reader.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/text.h"
#include "plan/parameters.h"
#include "plan/scenario_names.h"
#include "plan/schedule.h"
#include "plan/strategy.h"

namespace isochrone::study {
namespace {

using nlohmann::json;
using plan::Found;

constexpr std::size_t kMostValues = 100'000;
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
  if (ChangesMessages(key)) return level + 90;
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

using Setter = std::function<void(std::size_t value, plan::Scenario& scenario)>;

/// Sets the one member that a key reads into.
template <class T>
Setter SetterOf(T plan::Strategy::*member, const std::vector<plan::Strategy>& read) {
  std::vector<T> numbers;
  for (const plan::Strategy& strategy : read) numbers.push_back(strategy.*member);
  return [numbers, member](std::size_t i, plan::Scenario& s) { s.strategy.*member = numbers[i]; };
}

/// Of the keys that a search sets again and again; others read their value anew. `read`: strategies with each value.
Setter SetterOf(const std::string& key, const std::vector<plan::Strategy>& read) {
  using S = plan::Strategy;
  const std::pair<const char*, int S::*> numbers[] = {{"tensor", &S::tensor},
                                                      {"pipeline", &S::pipeline},
                                                      {"data", &S::data},
                                                      {"context", &S::context},
                                                      {"expert", &S::expert},
                                                      {"expert_tensor", &S::expert_tensor},
                                                      {"chunks_per_rank", &S::chunks_per_rank},
                                                      {"shard_group", &S::shard_group}};
  const std::pair<const char*, bool S::*> flags[] = {
      {"account_embedding_in_split", &S::account_embedding_in_split},
      {"overlap_data", &S::overlap_data},
      {"overlap_parameter_gather", &S::overlap_parameter_gather},
      {"overlap_pipeline", &S::overlap_pipeline},
      {"scatter_gather", &S::scatter_gather},
      {"zero2_reduce_every_microbatch", &S::zero2_reduce_every_microbatch}};
  for (const auto& [name, member] : numbers) {
    if (key == name) return SetterOf(member, read);
  }
  for (const auto& [name, member] : flags) {
    if (key == name) return SetterOf(member, read);
  }
  if (key == "optimizer_sharding") return SetterOf(&S::optimizer_sharding, read);
  if (key == "schedule") return SetterOf(&S::schedule, read);
  return {};
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
  const plan::StrategyKey* known = plan::FindStrategyKey(key);
  ISO_CHECK(known != nullptr);
  std::vector<Json> parsed;
  std::vector<plan::Strategy> read;
  for (const json& v : values) {
    parsed.push_back(Json::Text("[" + v.dump() + "]", value.Where()).At(0));
    read.emplace_back();
    known->set(parsed.back(), file, read.back());
    axis.values.push_back(known->show(read.back()));
  }
  axis.set = SetterOf(key, read);
  if (!axis.set)
    axis.set = [parsed, known, file](std::size_t i, plan::Scenario& s) { known->set(parsed[i], file, s.strategy); };
  return axis;
}

/// Lets every tensor degree and every framework have the vocabulary that is trained with it.
void TakeTrainedVocabulary(std::int64_t tokens, Axis& axis) {
  axis.set = [set = axis.set, tokens](std::size_t i, plan::Scenario& s) {
    set(i, s);
    s.model.vocabulary = plan::TrainedVocabulary(s, tokens);
  };
}

/// Whether some value of `axes` pads a vocabulary of `tokens`.
bool Pads(const std::vector<Axis>& axes, plan::Scenario scenario, std::int64_t tokens) {
  for (const Axis& axis : axes) {
    if (axis.key != "tensor" && axis.key != "framework") continue;
    for (std::size_t i = 0; i < axis.values.size(); ++i) {
      axis.set(i, scenario);
      if (scenario.model.vocabulary != tokens) return true;
    }
  }
  return scenario.model.vocabulary != tokens;
}

}  // namespace

std::vector<json> Listed(const Json& value) {
  if (IsRange(value.Raw())) return ValuesOfRange(value);
  if (!value.IsArray()) return {};
  std::vector<json> values(value.Raw().begin(), value.Raw().end());
  if (values.empty()) value.Fail("is an empty list", "give at least one value");
  return values;
}

bool Varies(const Json& value, const std::string& key) {
  if (key == "expert_load") return false;  // a list is its value
  return (value.IsString() && value.String() == kSearch) || value.IsArray() || IsRange(value.Raw());
}

std::vector<Axis> AxesOf(const std::vector<Varied>& varied, plan::Scenario& base, const Constraints& limits,
                         const Found& file) {
  std::vector<Axis> axes;
  const std::int64_t tokens = base.model.vocabulary;
  for (const Varied& v : varied) {
    const bool search = v.value.IsString();
    axes.push_back(AxisOf(v.value, v.key, search ? Searched(v.value, v.key, base, limits) : Listed(v.value), file));
    if (v.key == "tensor" || v.key == "framework") TakeTrainedVocabulary(tokens, axes.back());
    axes.back().set(0, base);
  }
  base.model.vocabulary = plan::TrainedVocabulary(base, tokens);
  if (Pads(axes, base, tokens)) {
    base.notes.push_back("vocabulary of " + Grouped(tokens) +
                         " padded to a multiple of 128 · tensor where its ranks cannot share it, as Megatron-LM does");
  }
  std::stable_sort(axes.begin(), axes.end(),
                   [](const Axis& a, const Axis& b) { return PlaceOf(a.key) < PlaceOf(b.key); });
  return axes;
}

}  // namespace isochrone::study
