#include "cli/generation_answer.h"

#include <nlohmann/json.hpp>

#include <algorithm>

#include "base/table.h"
#include "base/text.h"
#include "cli/answer_parts.h"

namespace isochrone::cli {
namespace {

using nlohmann::ordered_json;
using study::GenerationAnswer;
using study::StepParts;

Table MemoryTable(const GenerationAnswer& a) {
  Table table({{"stage", "stage"},
               {"weights_bytes", "weights", "GiB"},
               {"cache_bytes", "cache", "GiB"},
               {"states_bytes", "states", "GiB"},
               {"workspace_bytes", "workspace", "GiB"},
               {"framework_bytes", "framework", "GiB"},
               {"total_bytes", "total", "GiB"}});
  for (std::size_t i = 0; i < a.memory.size(); ++i) {
    const plan::InferenceMemory& m = a.memory[i];
    const auto gib = [](Bytes b) { return Number{b.value / kGibi, 2}; };
    table.AddRow({static_cast<std::int64_t>(i), gib(m.weights), gib(m.cache), gib(m.states), gib(m.workspace),
                  gib(m.framework), gib(m.Total())});
  }
  return table;
}

std::string PartsText(const char* title, const StepParts& p) {
  const auto part = [](const char* name, double seconds) {
    return std::string(name) + " " + HumanTime(Seconds(seconds));
  };
  return std::string(title) + part("products and collectives", p.products) + ", " + part("attention", p.attention) +
         ", " + part("head", p.head) + ", " + part("waiting for launches", p.waiting) + ", " + part("host", p.host) +
         "\n";
}

ordered_json PartsJson(const StepParts& p) {
  return {{"products_s", p.products},
          {"attention_s", p.attention},
          {"head_s", p.head},
          {"waiting_s", p.waiting},
          {"host_s", p.host}};
}

ordered_json MemoryJson(const GenerationAnswer& a) {
  ordered_json stages = ordered_json::array();
  double peak = 0;
  for (std::size_t stage = 0; stage < a.memory.size(); ++stage) {
    const plan::InferenceMemory& m = a.memory[stage];
    stages.push_back({{"stage", stage},
                      {"weights_bytes", m.weights.value},
                      {"cache_bytes", m.cache.value},
                      {"states_bytes", m.states.value},
                      {"workspace_bytes", m.workspace.value},
                      {"framework_bytes", m.framework.value},
                      {"total_bytes", m.Total().value}});
    peak = std::max(peak, m.Total().value);
  }
  return {{"peak_bytes", peak},
          {"capacity_bytes", a.capacity.value},
          {"fits", a.fits},
          {"most_batch", a.most_batch},
          {"stages", stages}};
}

ordered_json ScenarioOf(const plan::InferenceScenario& s) {
  return {{"file", s.base.file},
          {"question", s.base.question},
          {"model", s.base.model.name},
          {"gpu", s.base.cluster.node.gpu.name},
          {"gpus", s.Gpus()},
          {"tensor", s.strategy.tensor},
          {"pipeline", s.strategy.pipeline},
          {"expert", s.strategy.expert},
          {"replicas", s.strategy.replicas},
          {"precision", plan::NameOf(s.strategy.precision)},
          {"weights", plan::NameOf(s.strategy.weights)},
          {"kv_cache", plan::NameOf(s.strategy.kv_cache)},
          {"engine", s.strategy.engine},
          {"prompt", s.generation.prompt},
          {"output", s.generation.output},
          {"batch", s.generation.batch},
          {"defaults", s.defaults}};
}

}  // namespace

std::string GenerationText(const GenerationAnswer& a) {
  const plan::InferenceScenario& s = a.scenario;
  std::string text;
  if (!s.base.question.empty()) text += s.base.question + "\n\n";
  text += s.base.model.name + " on " + Grouped(s.Gpus()) + " x " + s.base.cluster.node.gpu.name + ", batch " +
          Grouped(s.generation.batch) + ", prompt " + Grouped(s.generation.prompt) + ", output " +
          Grouped(s.generation.output) + ", engine " + s.strategy.engine + "\n\n";
  text += "first token after     " + HumanTime(a.time_to_first_token) + "\n";
  text += "each further token    " + HumanTime(a.time_per_output_token) + "\n";
  if (a.speculation) {
    const study::SpeculationAnswer& d = *a.speculation;
    text += "with drafts           " + ThreeDigits(d.round.expected) + " tokens a round of " +
            HumanTime(Seconds(d.round.draft)) + " drafting and " + HumanTime(Seconds(d.round.verify)) +
            " verifying; without " + HumanTime(Seconds(d.plain)) + " a token, so " + ThreeDigits(d.Gain()) +
            " times as fast" +
            (s.speculation->chain_acceptance ? "; the best chain has " + std::to_string(d.best_drafted) : "") + "\n";
  }
  text += "whole generation      " + HumanTime(a.total) + "\n";
  text += "output                " + ThreeDigits(a.output_tokens_per_s) + " tokens/s, " +
          ThreeDigits(a.requests_per_s) + " requests/s\n";
  text += "energy                " + ThreeDigits(a.joules_per_output_token) + " J per output token\n";
  text += "cost                  " + ThreeDigits(a.gpu_seconds_per_request) + " GPU-seconds per request";
  if (s.price_per_gpu_hour > 0) text += ", " + ThreeDigits(a.money_per_million_tokens) + " per million output tokens";
  text += "\n\n" + PartsText("a prompt step: ", a.prompt_step) + PartsText("a decode step: ", a.decode_step) + "\n";
  text += MemoryTable(a).Text() + "\n";
  text += a.fits ? "fits in " + HumanBytes(a.capacity) + "; the largest batch of this length is " +
                       Grouped(static_cast<std::int64_t>(std::min(a.most_batch, 1e15))) + "\n"
                 : "";
  for (const std::string& warning : a.warnings) text += "warning: " + warning + "\n";
  return text;
}

std::string GenerationJson(const GenerationAnswer& a, const std::string& command) {
  ordered_json answer = {{"schema_version", 1},
                         {"kind", "generation"},
                         {"scenario", ScenarioOf(a.scenario)},
                         {"ttft_s", a.time_to_first_token.value},
                         {"tpot_s", a.time_per_output_token.value},
                         {"total_s", a.total.value},
                         {"output_tokens_per_s", a.output_tokens_per_s},
                         {"requests_per_s", a.requests_per_s},
                         {"gpu_seconds_per_request", a.gpu_seconds_per_request},
                         {"price_per_million_tokens", a.money_per_million_tokens},
                         {"joules_per_output_token", a.joules_per_output_token},
                         {"prompt_step", PartsJson(a.prompt_step)},
                         {"decode_step", PartsJson(a.decode_step)},
                         {"memory", MemoryJson(a)},
                         {"warnings", a.warnings},
                         {"provenance", Provenance(command)}};
  if (a.speculation)
    answer["speculative"] = {{"tokens_per_round", a.speculation->round.expected},
                             {"draft_s", a.speculation->round.draft},
                             {"verify_s", a.speculation->round.verify},
                             {"plain_tpot_s", a.speculation->plain},
                             {"gain", a.speculation->Gain()},
                             {"best_drafted", a.speculation->best_drafted}};
  return Printed(answer);
}

}  // namespace isochrone::cli
