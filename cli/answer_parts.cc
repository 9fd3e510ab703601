#include "cli/answer_parts.h"

#include <nlohmann/json.hpp>

#include "cli/version.h"
#include "costmodel/profile.h"
#include "plan/layout.h"
#include "plan/strategy.h"

namespace isochrone::cli {

using nlohmann::ordered_json;

namespace {

const std::vector<std::pair<const char*, Seconds plan::Attribution::*>>& AttributionParts() {
  using A = plan::Attribution;
  static const std::vector<std::pair<const char*, Seconds A::*>> parts = {
      {"compute", &A::compute},     {"recompute", &A::recompute}, {"tensor", &A::tensor}, {"context", &A::context},
      {"expert", &A::expert},       {"pipeline", &A::pipeline},   {"data", &A::data},     {"copy", &A::copy},
      {"optimizer", &A::optimizer}, {"host", &A::host},           {"bubble", &A::bubble}};
  return parts;
}

const std::vector<std::pair<const char*, Bytes plan::StageMemory::*>>& MemoryParts() {
  using M = plan::StageMemory;
  static const std::vector<std::pair<const char*, Bytes M::*>> parts = {
      {"parameters", &M::parameters},   {"gradients", &M::gradients}, {"optimizer", &M::optimizer},
      {"activations", &M::activations}, {"workspace", &M::workspace}, {"communication", &M::communication},
      {"framework", &M::framework}};
  return parts;
}

ordered_json MemoryJson(const plan::Metrics& m) {
  ordered_json stages = ordered_json::array();
  Bytes peak;
  for (const plan::StageMemory& stage : m.memory) {
    ordered_json one = {{"stage", stage.stage}};
    for (const auto& [name, part] : MemoryParts()) one[name] = (stage.*part).value;
    one["total"] = stage.Total().value;
    peak = Max(peak, stage.Total());
    stages.push_back(std::move(one));
  }
  return {{"peak_bytes", peak.value},
          {"capacity_bytes", m.memory_capacity.value},
          {"fits", peak <= m.memory_capacity},
          {"stages", stages}};
}

ordered_json AttributionJson(const plan::Attribution& attribution) {
  ordered_json seconds;
  for (const auto& [name, part] : AttributionParts()) seconds[name] = (attribution.*part).value;
  return seconds;
}

ordered_json ExposedJson(const plan::Attribution& attribution) {
  return {{"tensor", attribution.tensor.value},
          {"pipeline", attribution.pipeline.value},
          {"data", attribution.data.value},
          {"context", attribution.context.value},
          {"expert", attribution.expert.value}};
}

}  // namespace

ordered_json ScenarioJson(const plan::Scenario& s) {
  ordered_json strategy;
  for (const plan::StrategyKey& key : plan::StrategyKeys()) strategy[key.name] = key.show(s.strategy);
  return {{"file", s.file},
          {"question", s.question},
          {"model", s.model.name},
          {"gpu", s.cluster.node.gpu.name},
          {"gpus", plan::LayoutOf(s).World()},
          {"nodes", s.cluster.nodes},
          {"sequences", s.batch.sequences},
          {"microbatch", s.batch.microbatch},
          {"sequence", s.model.sequence},
          {"strategy", strategy},
          {"defaults", s.defaults}};
}

ordered_json Provenance(const std::string& command, const std::vector<std::pair<std::string, std::string>>& more) {
  ordered_json block = {{"version", Version()}, {"commit", Commit()}};
  for (const auto& [key, value] : more) block[key] = value;
  block["command"] = command;
  return block;
}

std::string ProfileNameOf(const plan::Scenario& scenario) {
  return costmodel::ProfileOf(scenario.cluster.node.gpu)->name + ", " + scenario.strategy.framework;
}

std::string Printed(const ordered_json& answer) {
  return answer.dump(1, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

void AddMetrics(const plan::Metrics& m, ordered_json& answer) {
  answer.update({{"step_time_s", m.step_time.value},
                 {"low_s", m.low.value},
                 {"high_s", m.high.value},
                 {"makespan_s", m.makespan.value},
                 {"tokens_per_s", m.tokens_per_s},
                 {"model_flops", m.model_flops.value},
                 {"hardware_flops", m.hardware_flops.value},
                 {"model_tflops_per_gpu", m.model_tflops_per_gpu},
                 {"mfu", m.mfu},
                 {"hfu", m.hfu},
                 {"bubble_over_ideal", m.bubble_over_ideal},
                 {"bubble_over_total", m.bubble_over_total},
                 {"reported_rank", m.reported_rank},
                 {"attribution_s", AttributionJson(m.attribution)},
                 {"exposed_communication_s", ExposedJson(m.attribution)},
                 {"memory", MemoryJson(m)}});
}

Table TimeTable(const plan::Metrics& m, int decimals) {
  Table time({{"part", "where the time goes", "", Align::kLeft}, {"seconds", "time", "s"}, {"share", "share", "%"}});
  for (const auto& [name, part] : AttributionParts()) {
    const Seconds t = m.attribution.*part;
    if (t.value != 0) time.AddRow({std::string(name), Number{t.value, decimals}, Number{100 * (t / m.step_time), 1}});
  }
  return time;
}

}  // namespace isochrone::cli
