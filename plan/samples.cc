#include "plan/samples.h"

#include <nlohmann/json.hpp>

#include <fstream>

#include "base/error.h"
#include "base/json.h"
#include "plan/plan_text.h"

namespace isochrone::plan {

std::string SignatureOf(const Layout& layout, const Op& op) {
  const Op bare{.name = op.name, .stream = op.stream, .kind = op.kind, .in = {}, .out = {}, .after = {}};
  std::string text = Print(bare);
  if (const auto* c = std::get_if<Collective>(&op.kind))
    text += " over " + std::to_string(RanksOf(layout, c->group, 0).size());
  return text;
}

std::string SignatureOf(const Layout& layout, Phase phase, const Op& op) {
  return std::string(NameOf(phase)) + ": " + SignatureOf(layout, op);
}

Op MessageGatherOp(const Plan& plan) {
  return {.name = "message_gather",
          .stream = Stream::kTensor,
          .kind = Collective{.kind = CollectiveKind::kAllGather, .group = Group::kTensor, .bytes = plan.message_bytes},
          .in = {},
          .out = {},
          .after = {}};
}

Op MessageOp(const Plan& plan) {
  const bool cut = plan.message_scatter_gather;
  return {.name = "message",
          .stream = Stream::kPipeline,
          .kind = Message{.bytes = cut ? plan.message_bytes / plan.layout.tp : plan.message_bytes},
          .in = {},
          .out = {},
          .after = {}};
}

std::map<std::string, PlanOp> OpsOf(const Plan& plan) {
  std::map<std::string, PlanOp> all;
  const auto add = [&](const Op& op) { all.emplace(SignatureOf(plan.layout, op), PlanOp{nullptr, op}); };
  for (const LayerProgram& program : plan.programs) {
    for (int phase = 0; phase < kPhases; ++phase) {
      for (const Op& op : program.ops[static_cast<std::size_t>(phase)])
        all.emplace(SignatureOf(plan.layout, static_cast<Phase>(phase), op), PlanOp{&program, op});
    }
  }
  for (const auto* lists : {&plan.prologue, &plan.epilogue}) {
    for (const auto& ops : *lists) {
      for (const Op& op : ops) add(op);
    }
  }
  for (const SideTask& side : plan.side) add(side.op);
  if (plan.schedule.placement.stages > 1) {
    add(MessageOp(plan));
    if (plan.message_scatter_gather) add(MessageGatherOp(plan));
  }
  return all;
}

void WriteSamples(const Samples& samples, const std::string& path) {
  nlohmann::ordered_json ops = nlohmann::ordered_json::object();
  for (const auto& [signature, s] : samples.by_signature)
    ops[signature] = {{"seconds", s.seconds}, {"spread_s", s.spread}, {"repeats", s.repeats}};
  const nlohmann::ordered_json file = {
      {"machine", samples.machine}, {"date", samples.date}, {"command", samples.command}, {"operations", ops}};
  std::ofstream out(path);
  out << file.dump(1) << "\n";
  if (!out) throw Error(path, "cannot be written", "name a file in a folder that exists");
}

Samples ReadSamples(const std::string& path) {
  const Json file = Json::File(path);
  file.Allow({"machine", "date", "command", "operations"});
  Samples samples{.machine = file.At("machine").String(),
                  .date = file.At("date").String(),
                  .command = file.At("command").String(),
                  .by_signature = {}};
  const Json ops = file.At("operations");
  for (const std::string& signature : ops.Keys()) {
    const Json op = ops.At(signature);
    op.Allow({"seconds", "spread_s", "repeats"});
    samples.by_signature[signature] = {.seconds = op.At("seconds").Number(0, 1e6),
                                       .spread = op.At("spread_s").Number(0, 1e6),
                                       .repeats = static_cast<int>(op.At("repeats").Int(1, 1'000'000'000))};
  }
  return samples;
}

}  // namespace isochrone::plan
