// Reads serving questions.
#include "base/error.h"
#include "costmodel/inference/engine.h"
#include "plan/readers.h"
#include "sim/serving/packing.h"
#include "study/inference/lengths.h"
#include "study/inference/serve.h"

namespace isochrone::study {
namespace {

constexpr std::size_t kMostRequests = 50'000'000;

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
  s.prompt = ReadLengths(root.At("prompt"), false), s.output = ReadLengths(root.At("output"), true);
}

double ReadTransfer(const Json& object) {
  const auto link = object.Find("transfer_gb_per_s");
  return link ? kGiga * link->Number(1e-3, 1e5) : 0;
}

std::string ReadEngine(const Json& object, const char* key, const ServeScenario& s) {
  const auto engine = object.Find(key);
  if (!engine) return "";
  costmodel::EngineOf(engine->String(), s.engine.base.cluster.node.gpu);  // throws where it is not known
  return engine->String();
}

Separation ReadSeparation(const Json& object, const ServeScenario& scenario) {
  object.Allow({"prompt_replicas", "decode_replicas", "prompt_tensor", "decode_tensor", "prompt_pipeline",
                "decode_pipeline", "transfer_gb_per_s", "engine"});
  Separation s;
  s.prompt_replicas = static_cast<int>(object.At("prompt_replicas").Int(1, 1 << 16));
  s.decode_replicas = static_cast<int>(object.At("decode_replicas").Int(1, 1 << 16));
  s.prompt_tensor = static_cast<int>(object.At("prompt_tensor").Int(1, 1 << 10));
  s.decode_tensor = static_cast<int>(object.At("decode_tensor").Int(1, 1 << 10));
  s.prompt_pipeline = s.decode_pipeline = scenario.engine.strategy.pipeline;
  if (const auto n = object.Find("prompt_pipeline")) s.prompt_pipeline = static_cast<int>(n->Int(1, 1 << 10));
  if (const auto n = object.Find("decode_pipeline")) s.decode_pipeline = static_cast<int>(n->Int(1, 1 << 10));
  s.transfer_bytes_per_s = ReadTransfer(object);
  s.engine = ReadEngine(object, "engine", scenario);
  return s;
}

std::vector<int> ReadDegrees(const Json& list) {
  std::vector<int> degrees;
  for (const Json& item : list.Items()) degrees.push_back(static_cast<int>(item.Int(1, 1 << 10)));
  if (degrees.empty()) list.Fail("has no degree", "write for example [1, 2, 4, 8]");
  return degrees;
}

PlanSearch ReadSearch(const Json& object, const ServeScenario& s) {
  object.Allow({"tensor", "pipeline", "most_gpus", "transfer_gb_per_s", "separated_engine"});
  PlanSearch search;
  search.tensor = ReadDegrees(object.At("tensor")), search.pipeline = ReadDegrees(object.At("pipeline"));
  search.most_gpus = static_cast<int>(object.At("most_gpus").Int(1, 1 << 16));
  search.transfer_bytes_per_s = ReadTransfer(object);
  search.separated_engine = ReadEngine(object, "separated_engine", s);
  if (!s.objective) object.Fail("needs a promise to search under", "add \"objective\"");
  if (!s.trace.empty()) object.Fail("needs arrivals with a rate, not a trace", "give rate_per_s");
  if (s.separation) object.Fail("tries separated pools itself", "leave out /scheduler/separated");
  return search;
}

void ReadScheduler(const Json& object, ServeScenario& s) {
  object.Allow({"kind", "sequences", "fuses_prompts", "cache_tokens", "separated", "prompts"});
  s.limits.token_budget = static_cast<double>(s.engine.strategy.token_budget);
  s.limits.block_tokens = s.engine.strategy.block_tokens;
  s.scheduler = static_cast<sim::serving::Scheduler>(object.At("kind").OneOf(sim::serving::SchedulerNames()));
  if (const auto n = object.Find("sequences")) s.limits.sequences = n->Int(1, 1'000'000);
  if (const auto fuses = object.Find("fuses_prompts")) s.limits.fuses_prompts = fuses->Bool();
  if (const auto cache = object.Find("cache_tokens")) s.limits.cache_tokens = cache->Number(1, 1e18);
  if (const auto pools = object.Find("separated")) s.separation = ReadSeparation(*pools, s);
  if (const auto layout = object.Find("prompts")) {
    s.limits.layout = static_cast<sim::serving::PromptLayout>(layout->OneOf(sim::serving::PromptLayoutNames()));
    const bool batches =
        s.scheduler == sim::serving::Scheduler::kStatic || s.scheduler == sim::serving::Scheduler::kBatchDispatch;
    if (!batches && s.limits.layout != sim::serving::PromptLayout::kFlat)
      layout->Fail("lays out batches, and this scheduler's prompts come one by one",
                   "write \"flat\", or /scheduler/kind static or batch_dispatch");
  }
}

ServiceObjective ReadObjective(const Json& object) {
  object.Allow({"ttft_s", "tpot_s", "gap_p99_s", "share", "find_rate"});
  ServiceObjective o;
  if (const auto t = object.Find("ttft_s")) o.first_token = t->Number(1e-6, 1e6);
  if (const auto t = object.Find("tpot_s")) o.per_token = t->Number(1e-6, 1e6);
  if (const auto t = object.Find("gap_p99_s")) o.gap = t->Number(1e-6, 1e6);
  if (const auto share = object.Find("share")) o.share = share->Number(0.01, 1);
  if (const auto find = object.Find("find_rate")) o.find_rate = find->Bool();
  return o;
}

}  // namespace

ServeScenario ReadServing(const std::string& path) {
  const plan::Found file = plan::FindFile(path);
  const Json root = plan::ReadJson(file);
  root.Allow({"question", "workload", "model", "cluster", "strategy", "arrivals", "prompt", "output", "scheduler",
              "objective", "search", "price_per_gpu_hour", "sources"});
  root.At("workload").OneOf({"serve"});
  ServeScenario s;
  s.engine = plan::ReadInferenceParts(root, file);
  ReadScheduler(root.At("scheduler"), s);
  ReadArrivals(root, file, s);
  if (const auto objective = root.Find("objective")) s.objective = ReadObjective(*objective);
  if (s.objective && s.objective->find_rate && !s.trace.empty())
    root.At("objective").At("find_rate").Fail("needs arrivals with a rate, not a trace", "give rate_per_s, or false");
  if (const auto search = root.Find("search")) s.search = ReadSearch(*search, s);
  return s;
}

}  // namespace isochrone::study
