#include "cli/search_answer.h"

#include <nlohmann/json.hpp>

#include "base/table.h"
#include "base/text.h"
#include "cli/answer_parts.h"

namespace isochrone::cli {
namespace {

using nlohmann::ordered_json;
using study::PlanRate;
using study::PoolsRate;

std::string PlansText(const char* title, const std::vector<PlanRate>& plans) {
  Table table({{"tensor", "tensor"},
               {"pipeline", "pipeline"},
               {"rate_per_s", "rate", "1/s"},
               {"rate_per_gpu_per_s", "a GPU", "1/s"},
               {"refused", "", "", Align::kLeft}});
  for (const PlanRate& p : plans) {
    const std::string why = p.refused.substr(0, p.refused.find('\n', p.refused.find('\n') + 1));
    table.AddRow({std::int64_t{p.tensor}, std::int64_t{p.pipeline}, Number{p.rate, 2}, Number{p.PerGpu(), 3},
                  why.empty() ? Cell() : Cell(why)});
  }
  return std::string(title) + "\n" + table.Text() + "\n";
}

ordered_json PlansJson(const std::vector<PlanRate>& plans) {
  ordered_json all = ordered_json::array();
  for (const PlanRate& p : plans) {
    ordered_json one = {{"tensor", p.tensor},
                        {"pipeline", p.pipeline},
                        {"gpus", p.Gpus()},
                        {"rate_per_s", p.rate},
                        {"rate_per_gpu_per_s", p.PerGpu()}};
    if (!p.refused.empty()) one["refused"] = p.refused;
    all.push_back(one);
  }
  return all;
}

std::string PoolsText(const PoolsRate& p) {
  return std::to_string(p.prompt_replicas) + " x (tensor " + std::to_string(p.prompt.tensor) + ", pipeline " +
         std::to_string(p.prompt.pipeline) + ") for prompts, " + std::to_string(p.decode_replicas) + " x (tensor " +
         std::to_string(p.decode.tensor) + ", pipeline " + std::to_string(p.decode.pipeline) +
         ") for decoding: " + ThreeDigits(p.rate) + " requests/s on " + std::to_string(p.Gpus()) + " GPUs, " +
         ThreeDigits(p.PerGpu()) + " a GPU\n";
}

}  // namespace

std::string PlanSearchText(const study::ServeScenario& s, const study::SearchAnswer& a) {
  std::string text;
  if (!s.engine.base.question.empty()) text += s.engine.base.question + "\n\n";
  text += PlansText("joint", a.joint) + PlansText("prompts alone", a.prompt) + PlansText("decoding alone", a.decode);
  if (!a.separated.empty()) text += "separated, played together\n";
  for (const PoolsRate& p : a.separated) text += "  " + PoolsText(p);
  if (a.separated.empty()) text += "no separated plan keeps the promise on these GPUs\n";
  if (a.Gain() > 0) text += "\nseparated over joint, requests a GPU: " + ThreeDigits(a.Gain()) + "\n";
  return text;
}

std::string PlanSearchJson(const study::ServeScenario& s, const study::SearchAnswer& a, const std::string& command) {
  ordered_json separated = ordered_json::array();
  for (const PoolsRate& p : a.separated)
    separated.push_back({{"prompt_tensor", p.prompt.tensor},
                         {"prompt_pipeline", p.prompt.pipeline},
                         {"prompt_replicas", p.prompt_replicas},
                         {"decode_tensor", p.decode.tensor},
                         {"decode_pipeline", p.decode.pipeline},
                         {"decode_replicas", p.decode_replicas},
                         {"gpus", p.Gpus()},
                         {"rate_per_s", p.rate},
                         {"rate_per_gpu_per_s", p.PerGpu()}});
  const ordered_json answer = {{"schema_version", 1},
                               {"kind", "plan_search"},
                               {"scenario",
                                {{"file", s.engine.base.file},
                                 {"question", s.engine.base.question},
                                 {"model", s.engine.base.model.name},
                                 {"gpu", s.engine.base.cluster.node.gpu.name},
                                 {"defaults", s.engine.defaults}}},
                               {"joint", PlansJson(a.joint)},
                               {"prompt", PlansJson(a.prompt)},
                               {"decode", PlansJson(a.decode)},
                               {"separated", separated},
                               {"gain_per_gpu", a.Gain()},
                               {"provenance", Provenance(command)}};
  return Printed(answer);
}

}  // namespace isochrone::cli
