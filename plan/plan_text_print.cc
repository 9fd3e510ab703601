#include <sstream>
#include <tuple>

#include "base/text.h"
#include "plan/plan_text.h"
#include "plan/plan_words.h"

namespace isochrone::plan {
namespace {

std::string Text(std::int64_t v) { return std::to_string(v); }
std::string Text(double v) { return Exact(v); }
std::string Text(Bytes v) { return Exact(v.value); }
std::string Text(bool v) { return v ? "yes" : "no"; }
std::string Text(Dtype v) { return NameOf(v); }

/// Appends "name=value" for each field that differs from a default-constructed op.
template <class O>
std::string FieldsOf(O op) {
  O plain;
  std::vector<std::pair<std::string, std::string>> mine, defaults;
  const auto collect = [](std::vector<std::pair<std::string, std::string>>& into) {
    return [&into](const char* name, auto& field, auto&&... words) {
      if constexpr (sizeof...(words) == 0) {
        into.emplace_back(name, Text(field));
      } else {
        into.emplace_back(name, std::get<0>(std::tie(words...))[static_cast<std::size_t>(field)]);
      }
    };
  };
  auto to_mine = collect(mine);
  auto to_defaults = collect(defaults);
  VisitFields(op, to_mine);
  VisitFields(plain, to_defaults);
  std::string text;
  for (std::size_t i = 0; i < mine.size(); ++i) {
    if (mine[i].second != defaults[i].second) text += " " + mine[i].first + "=" + mine[i].second;
  }
  return text;
}

std::string Listed(const std::vector<int>& numbers) {
  std::string text;
  for (int n : numbers) text += (text.empty() ? "" : ",") + std::to_string(n);
  return text;
}

std::string Shape(const std::vector<std::int64_t>& shape) {
  std::string text;
  for (auto d : shape) text += (text.empty() ? "" : "x") + std::to_string(d);
  return text.empty() ? "scalar" : text;
}

void PrintProgram(const LayerProgram& p, std::ostream& out) {
  out << "program " << p.name << " input=" << p.input << " output=" << p.output
      << " output_gradient=" << p.output_gradient << " input_gradient=" << p.input_gradient
      << " parameters=" << Exact(p.parameters) << " expert_parameters=" << Exact(p.expert_parameters)
      << " model_flops=" << Exact(p.model_flops.value) << "\n";
  for (const Buffer& b : p.buffers) {
    out << "  buffer " << b.name << " " << Shape(b.shape) << " " << NameOf(b.dtype) << " "
        << kBufferWords[static_cast<std::size_t>(b.kind)] << " "
        << kLifetimeWords[static_cast<std::size_t>(b.lifetime)];
    if (b.expert) out << " expert=yes";
    if (b.sharded_axis >= 0) out << " sharded_axis=" << b.sharded_axis;
    if (b.partial_over_tensor) out << " partial_over_tensor=yes";
    if (b.borrowed) out << " borrowed=yes";
    if (b.statistic) out << " statistic=yes";
    out << "\n";
  }
  for (int phase = 0; phase < kPhases; ++phase) {
    if (p.ops[static_cast<std::size_t>(phase)].empty()) continue;
    out << "  phase " << NameOf(static_cast<Phase>(phase)) << "\n";
    for (const Op& op : p.ops[static_cast<std::size_t>(phase)]) out << "    op " << Print(op) << "\n";
  }
}

std::string Print(const Anchor& a) {
  switch (a.task) {
    case Anchor::kNone:
      return "none";
    case Anchor::kStepStart:
      return "start";
    case Anchor::kStepEnd:
      return "end";
    default:
      return std::to_string(a.task) + "@" + Exact(a.progress);
  }
}

}  // namespace

std::string Print(const Op& op) {
  std::string text = op.name + " " + NameOf(op.stream) + " " + kKindWords[op.kind.index()];
  text += std::visit([](const auto& o) { return FieldsOf(o); }, op.kind);
  if (!op.in.empty()) text += " in " + Listed(op.in);
  if (!op.out.empty()) text += " out " + Listed(op.out);
  if (!op.after.empty()) text += " after " + Listed(op.after);
  return text;
}

std::string Print(const Plan& plan) {
  std::ostringstream out;
  const Layout& l = plan.layout;
  out << "layout tp=" << l.tp << " cp=" << l.cp << " dp=" << l.dp << " pp=" << l.pp << " ep=" << l.ep
      << " etp=" << l.etp << " shard=" << l.shard << " gpus_per_node=" << l.gpus_per_node
      << " root_gpus=" << l.root_gpus << " pipeline_innermost_of_data=" << Text(l.pipeline_innermost_of_data) << "\n";
  out << "messages mode=" << (plan.messages == MessageMode::kBlocking ? "blocking" : "overlapped")
      << " bytes=" << Exact(plan.message_bytes.value) << " scatter_gather=" << Text(plan.message_scatter_gather)
      << " epilogue_barrier=" << Text(plan.epilogue_barrier) << "\n";
  for (const LayerProgram& p : plan.programs) PrintProgram(p, out);
  for (const StageContent& stage : plan.stages) {
    out << "stage";
    for (const Section& s : stage.sections) {
      out << " " << plan.programs[static_cast<std::size_t>(s.program)].name << "*" << s.count << "@" << s.first_layer;
    }
    out << "\n";
  }
  out << "schedule\n" << Print(plan.schedule) << "end\n";
  for (const SideTask& s : plan.side)
    out << "side " << s.rank << " " << Print(s.after) << " " << Print(s.before) << " " << Print(s.op) << "\n";
  for (const bool prologue : {true, false}) {
    const auto& all = prologue ? plan.prologue : plan.epilogue;
    for (std::size_t rank = 0; rank < all.size(); ++rank) {
      const std::string head = std::string(prologue ? "prologue " : "epilogue ") + std::to_string(rank);
      if (all[rank].empty()) out << head << "\n";
      for (const Op& op : all[rank]) out << head << " " << Print(op) << "\n";
    }
  }
  return out.str();
}

}  // namespace isochrone::plan
