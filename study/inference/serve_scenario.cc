// Reads serving questions and traces.
#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/error.h"
#include "plan/readers.h"
#include "study/inference/serve.h"

namespace isochrone::study {
namespace {

using sim::serving::LengthKind;
using sim::serving::Lengths;
using sim::serving::Request;

constexpr double kMostTokens = 1e8;
constexpr std::size_t kMostRequests = 50'000'000;

Lengths ReadLengths(const Json& object) {
  object.Allow({"distribution", "mean", "deviation", "least", "most"});
  Lengths lengths;
  lengths.kind = static_cast<LengthKind>(object.At("distribution").OneOf(sim::serving::LengthKindNames()));
  const bool uniform = lengths.kind == LengthKind::kUniform;
  if (!uniform) lengths.mean = object.At("mean").Number(0, kMostTokens);
  if (lengths.kind == LengthKind::kLognormal) lengths.deviation = object.At("deviation").Number(0, 10);
  if (const auto least = object.Find("least")) lengths.least = least->Number(0, kMostTokens);
  else if (uniform) object.At("least");
  if (const auto most = object.Find("most")) lengths.most = most->Number(lengths.least, kMostTokens);
  else if (uniform) object.At("most");
  if (lengths.kind == LengthKind::kFixed) lengths.least = 0, lengths.most = kMostTokens;
  return lengths;
}

void ReadArrivals(const Json& root, const plan::Found& file, ServeScenario& s) {
  const Json arrivals = root.At("arrivals");
  if (const auto trace = arrivals.Find("trace")) {
    arrivals.Allow({"trace"});
    const plan::Found found = plan::FindReference(*trace, file);
    s.trace = ReadTrace(found.path, found.name);
    return;
  }
  arrivals.Allow({"rate_per_s", "requests", "seed"});
  s.rate = arrivals.At("rate_per_s").Number(1e-6, 1e9);
  s.count = static_cast<std::size_t>(arrivals.At("requests").Int(1, static_cast<std::int64_t>(kMostRequests)));
  if (const auto seed = arrivals.Find("seed")) s.seed = static_cast<std::uint64_t>(seed->Int(0, std::int64_t{1} << 53));
  s.prompt = ReadLengths(root.At("prompt")), s.output = ReadLengths(root.At("output"));
}

Separation ReadSeparation(const Json& object) {
  object.Allow({"prompt_replicas", "decode_replicas", "prompt_tensor", "decode_tensor", "transfer_gb_per_s"});
  Separation s;
  s.prompt_replicas = static_cast<int>(object.At("prompt_replicas").Int(1, 1 << 16));
  s.decode_replicas = static_cast<int>(object.At("decode_replicas").Int(1, 1 << 16));
  s.prompt_tensor = static_cast<int>(object.At("prompt_tensor").Int(1, 1 << 10));
  s.decode_tensor = static_cast<int>(object.At("decode_tensor").Int(1, 1 << 10));
  if (const auto link = object.Find("transfer_gb_per_s")) s.transfer_bytes_per_s = kGiga * link->Number(1e-3, 1e5);
  return s;
}

void ReadScheduler(const Json& object, ServeScenario& s) {
  object.Allow({"kind", "sequences", "fuses_prompts", "cache_tokens", "separated"});
  s.limits.token_budget = static_cast<double>(s.engine.strategy.token_budget);
  s.limits.block_tokens = s.engine.strategy.block_tokens;
  s.scheduler = static_cast<sim::serving::Scheduler>(object.At("kind").OneOf(sim::serving::SchedulerNames()));
  if (const auto n = object.Find("sequences")) s.limits.sequences = n->Int(1, 1'000'000);
  if (const auto fuses = object.Find("fuses_prompts")) s.limits.fuses_prompts = fuses->Bool();
  if (const auto cache = object.Find("cache_tokens")) s.limits.cache_tokens = cache->Number(1, 1e18);
  if (const auto pools = object.Find("separated")) s.separation = ReadSeparation(*pools);
}

Objective ReadObjective(const Json& object) {
  object.Allow({"ttft_s", "tpot_s", "gap_p99_s", "share", "find_rate"});
  Objective o;
  if (const auto t = object.Find("ttft_s")) o.first_token = t->Number(1e-6, 1e6);
  if (const auto t = object.Find("tpot_s")) o.per_token = t->Number(1e-6, 1e6);
  if (const auto t = object.Find("gap_p99_s")) o.gap = t->Number(1e-6, 1e6);
  if (const auto share = object.Find("share")) o.share = share->Number(0.01, 1);
  if (const auto find = object.Find("find_rate")) o.find_rate = find->Bool();
  return o;
}

/// One number of a line, up to the comma or the end; moves `text` behind it.
double Field(std::string_view& text, const std::string& where, const char* column) {
  const std::size_t comma = text.find(',');
  const std::string_view field = text.substr(0, comma);
  text = comma == std::string_view::npos ? std::string_view() : text.substr(comma + 1);
  double value = 0;
  const auto [end, fault] = std::from_chars(field.data(), field.data() + field.size(), value);
  if (fault != std::errc() || end != field.data() + field.size() || !(value >= 0) || !std::isfinite(value))
    throw Error(where, std::string(column) + " is \"" + std::string(field) + "\"", "give a number of at least 0");
  return value;
}

std::int32_t Tokens(double value, const std::string& where, const char* column) {
  if (value != std::floor(value) || value > kMostTokens)
    throw Error(where, std::string(column) + " is no whole number of tokens", "give one of at most 100,000,000");
  return static_cast<std::int32_t>(value);
}

}  // namespace

std::vector<Request> ReadTrace(const std::string& path, const std::string& name) {
  static const std::string header = "arrival_s,prompt_tokens,output_tokens";
  const std::string text = Json::FileText(path, std::size_t{1} << 32, name);
  std::vector<Request> requests;
  std::string_view rest = text;
  for (int line = 1; !rest.empty(); ++line) {
    const std::size_t feed = rest.find('\n');
    std::string_view one = rest.substr(0, feed);
    rest = feed == std::string_view::npos ? std::string_view() : rest.substr(feed + 1);
    if (!one.empty() && one.back() == '\r') one.remove_suffix(1);
    const std::string where = name + ":" + std::to_string(line);
    if (line == 1) {
      if (one != header) throw Error(where, "is not a trace's header", "begin with " + header);
      continue;
    }
    if (one.empty()) continue;
    if (std::count(one.begin(), one.end(), ',') != 2) throw Error(where, "has not three fields", "give " + header);
    Request r;
    r.arrival = Field(one, where, "arrival_s");
    r.prompt = Tokens(Field(one, where, "prompt_tokens"), where, "prompt_tokens");
    r.output = Tokens(Field(one, where, "output_tokens"), where, "output_tokens");
    if (!requests.empty() && r.arrival < requests.back().arrival)
      throw Error(where, "arrives before the request above it", "sort the trace by arrival_s");
    requests.push_back(r);
  }
  if (requests.empty()) throw Error(name, "has no request", "give at least one line under the header");
  return requests;
}

ServeScenario ReadServing(const std::string& path) {
  const plan::Found file = plan::FindFile(path);
  const Json root = plan::ReadJson(file);
  root.Allow({"question", "workload", "model", "cluster", "strategy", "arrivals", "prompt", "output", "scheduler",
              "objective", "price_per_gpu_hour", "sources"});
  root.At("workload").OneOf({"serve"});
  ServeScenario s;
  s.engine = plan::ReadInferenceParts(root, file);
  ReadScheduler(root.At("scheduler"), s);
  ReadArrivals(root, file, s);
  if (const auto objective = root.Find("objective")) s.objective = ReadObjective(*objective);
  if (s.objective && s.objective->find_rate && !s.trace.empty())
    root.At("objective").At("find_rate").Fail("needs arrivals with a rate, not a trace", "give rate_per_s, or false");
  return s;
}

}  // namespace isochrone::study
