// Reads questions about a row of servers under a power budget.
#include <cmath>

#include "base/error.h"
#include "plan/readers.h"
#include "study/inference/lengths.h"
#include "study/inference/power_row.h"

namespace isochrone::study {
namespace {

void ReadRow(const Json& row, PowerScenario& s) {
  row.Allow({"servers", "server_watts", "other_watts", "load", "hours", "seed", "added"});
  s.servers = static_cast<int>(row.At("servers").Int(1, 100'000));
  s.server_watts = row.At("server_watts").Number(1, 1e6), s.other_watts = row.At("other_watts").Number(0, 1e6);
  s.load = row.At("load").Number(0.01, 0.99), s.hours = row.At("hours").Number(0.01, 10'000);
  if (const auto seed = row.Find("seed")) s.seed = static_cast<std::uint64_t>(seed->Int(0, std::int64_t{1} << 40));
  for (const Json& share : row.At("added").Items()) s.added.push_back(share.Number(0, 1));
}

void ReadServices(const Json& list, PowerScenario& s) {
  double sum = 0;
  for (const Json& item : list.Items()) {
    item.Allow({"name", "share", "priority", "prompt", "output"});
    RowService service;
    service.name = item.At("name").String(), service.share = item.At("share").Number(0, 1);
    service.low_priority = item.At("priority").OneOf({"high", "low"}) == 1;
    service.prompt = ReadLengths(item.At("prompt"), false), service.output = ReadLengths(item.At("output"), true);
    sum += service.share;
    s.services.push_back(service);
  }
  if (std::abs(sum - 1) > 1e-6) list.Fail("has shares that add up to " + std::to_string(sum), "make them add up to 1");
}

/// A clock in MHz as a share of the GPU's full one.
double ReadClock(const Json& object, const char* key, const plan::Gpu& gpu) {
  return object.At(key).Number(1, gpu.boost_clock_hz / kMega) * kMega / gpu.boost_clock_hz;
}

void ReadPolicy(const Json& object, PowerScenario& s) {
  object.Allow({"first", "second", "margin", "low_first_mhz", "low_second_mhz", "high_second_mhz", "brake_mhz",
                "telemetry_s", "control_s", "brake_s"});
  sim::serving::CapPolicy& p = s.policy;
  p.first = object.At("first").Number(0, 1), p.second = object.At("second").Number(p.first, 1);
  p.margin = object.At("margin").Number(0, 1);
  const plan::Gpu& gpu = s.engine.base.cluster.node.gpu;
  p.low_first = ReadClock(object, "low_first_mhz", gpu), p.low_second = ReadClock(object, "low_second_mhz", gpu);
  p.high_second = ReadClock(object, "high_second_mhz", gpu), p.brake = ReadClock(object, "brake_mhz", gpu);
  p.telemetry_s = object.At("telemetry_s").Number(0.01, 1e4), p.control_s = object.At("control_s").Number(0, 1e5);
  p.brake_s = object.At("brake_s").Number(0, 1e5);
}

LatencyLimit ReadLimit(const Json& object) {
  object.Allow({"p50", "p99"});
  return {object.At("p50").Number(0, 100), object.At("p99").Number(0, 100)};
}

}  // namespace

PowerScenario ReadPower(const std::string& path) {
  const plan::Found file = plan::FindFile(path);
  const Json root = plan::ReadJson(file);
  root.Allow(
      {"question", "workload", "model", "cluster", "strategy", "row", "services", "policy", "limits", "sources"});
  root.At("workload").OneOf({"power"});
  PowerScenario s;
  s.engine = plan::ReadInferenceParts(root, file);
  const int gpus = s.engine.base.cluster.node.gpus, used = s.engine.Gpus();
  if (used > gpus || s.engine.strategy.replicas > 1)
    root.At("strategy")
        .Fail("takes " + std::to_string(used) + " GPUs, and a server has " + std::to_string(gpus) + " for one replica",
              "lower tensor or pipeline, and leave out replicas");
  ReadRow(root.At("row"), s), ReadServices(root.At("services"), s), ReadPolicy(root.At("policy"), s);
  const Json limits = root.At("limits");
  limits.Allow({"high", "low"});
  s.high = ReadLimit(limits.At("high")), s.low = ReadLimit(limits.At("low"));
  return s;
}

}  // namespace isochrone::study
