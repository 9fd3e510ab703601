#include <algorithm>
#include <cstdio>
#include <memory>

#include "base/error.h"
#include "base/json.h"
#include "base/table.h"
#include "base/text.h"
#include "cli/answer_parts.h"
#include "cli/verb.h"
#include "costmodel/offload.h"
#include "plan/memory.h"
#include "study/predict.h"

namespace isochrone::cli {
namespace {

/// What tells the two products of a linear layer's backward pass apart.
const char* PartOf(const plan::Op& op) {
  const auto* gemm = std::get_if<plan::Gemm>(&op.kind);
  if (!gemm) return "";
  if (gemm->role == plan::GemmRole::kLinearGradInput) return " for its input";
  return gemm->role == plan::GemmRole::kLinearGradWeight ? " for its weight" : "";
}

/// Activations that one layer of each kind keeps; papers' tables leave the statistics out.
void PrintKept(const plan::Plan& plan) {
  std::printf("Kept by one layer for one microbatch, until its backward pass:\n");
  for (const plan::LayerProgram& program : plan.programs) {
    const plan::LayerBytes bytes = plan::BytesOf(program);
    std::printf("  %-12s %s, and %s of statistics (norms, log-sum-exps)\n", program.name.c_str(),
                HumanBytes(bytes.kept - bytes.kept_statistics).c_str(), HumanBytes(bytes.kept_statistics).c_str());
  }
}

/// What a step would keep of its speed if nothing hid its copies to host and drives, beside what the engine finds.
void PrintOffload(const study::Prediction& p) {
  double bytes = 0, copying = 0;
  for (const study::OperationLine& line : p.operations) {
    const auto* transfer = std::get_if<plan::Transfer>(&line.op->kind);
    if (transfer == nullptr) continue;
    bytes += line.count * transfer->bytes.value;
    copying += line.Total();
  }
  if (bytes == 0) return;
  const plan::Attribution& a = p.metrics.attribution;
  const double flops = p.metrics.hardware_flops.value / p.plan.layout.World();
  const Seconds computing = a.compute + a.recompute;
  const FlopsPerSecond rate(flops / computing.value);
  const double ait = flops / bytes;
  const double closed = costmodel::OffloadEfficiency(ait, BytesPerSecond(bytes / copying), rate);
  std::printf("Copies to and from host and drives, of one GPU in a step:\n");
  std::printf("  efficiency = ait bw / (ait bw + peak) = %s if nothing hides them; played: %s\n",
              Percent(closed).c_str(), Percent(computing / (computing + a.copy)).c_str());
  std::printf("  with ait = %s FLOP/B, bytes = %s, bw = %s, peak = %s\n", ThreeDigits(ait).c_str(),
              HumanBytes(Bytes(bytes)).c_str(), HumanScaled(bytes / copying, "B/s").c_str(),
              HumanScaled(rate.value, "FLOP/s").c_str());
  std::printf("  Rajbhandari et al., arXiv 2104.07857, equation 6\n");
}

/// Numbers the sources of what is printed, so that each is written once, at the end.
class Sources {
 public:
  /// "[3]", and where nothing was measured "[3, not measured]"
  std::string Note(const costmodel::Source& source) {
    auto it = std::find_if(known_.begin(), known_.end(), [&](const auto& s) { return s.text == source.text; });
    if (it == known_.end()) it = known_.insert(it, source);
    return "[" + Grouped(it - known_.begin() + 1) + (source.measured ? "]" : ", not measured]");
  }
  void Print() const {
    if (!known_.empty()) std::printf("\nSources:\n");
    for (std::size_t i = 0; i < known_.size(); ++i) {
      std::string mark = "  [" + Grouped(static_cast<std::int64_t>(i) + 1) + "] ";
      for (const std::string& line : Wrapped(known_[i].text, 110)) {
        std::printf("%s%s\n", mark.c_str(), line.c_str());
        mark.assign(mark.size(), ' ');
      }
    }
  }

 private:
  std::vector<costmodel::Source> known_;
};

void PrintTerms(const std::vector<costmodel::Term>& terms, Sources& sources) {
  for (const costmodel::Term& term : terms) {
    std::printf("    %-10s %s = %s  %s\n", HumanTime(term.time).c_str(), term.name.c_str(), term.formula.c_str(),
                sources.Note(term.source).c_str());
    if (!term.inputs.empty()) std::printf("               with %s\n", term.inputs.c_str());
  }
}

void PrintLine(const study::OperationLine& line, const costmodel::Costs& costs, Seconds step, Sources& sources) {
  std::printf("%s.%s %s%s, on the %s stream\n", line.program.c_str(), line.name.c_str(), plan::NameOf(line.phase),
              PartOf(*line.op), plan::NameOf(line.op->stream));
  std::printf("  %s each, %s times a step: %s, %s of the step\n", HumanTime(Seconds(line.seconds)).c_str(),
              Grouped(static_cast<std::int64_t>(line.count)).c_str(), HumanTime(Seconds(line.Total())).c_str(),
              Percent(line.Total() / step.value).c_str());
  PrintTerms(costs.Explain(*line.op), sources);
}

/// Of a step of the stage that is reported: how often it waits for a batch (costmodel::Costs::HostOfBatch).
std::size_t ForwardPasses(const study::Prediction& p) {
  const auto& order = p.plan.schedule.order[static_cast<std::size_t>(p.metrics.reported_rank)];
  return static_cast<std::size_t>(std::count_if(order.begin(), order.end(), [](const plan::Task& task) {
    return task.phase == plan::Phase::kForward || task.phase == plan::Phase::kOverlapped;
  }));
}

void PrintBatches(const study::Prediction& p, const costmodel::Costs& costs, Sources& sources) {
  const costmodel::Term one = costs.ExplainBatch();
  if (one.time == Seconds(0)) return;
  const Seconds all = static_cast<double>(ForwardPasses(p)) * one.time;
  std::printf("the host, at the start of every forward pass, while the GPU has nothing to do\n");
  std::printf("  %s each, %s times a step: %s, %s of the step; counts as compute\n", HumanTime(one.time).c_str(),
              Grouped(static_cast<std::int64_t>(ForwardPasses(p))).c_str(), HumanTime(all).c_str(),
              Percent(all / p.metrics.step_time).c_str());
  PrintTerms({one}, sources);
}

/// How much longer compute takes than its ops alone, and why.
void PrintBeside(const study::Prediction& p, const costmodel::Costs& costs, Sources& sources) {
  const auto beside = costs.ContentionOfBuckets();
  const plan::Attribution& a = p.metrics.attribution;
  double alone = 0;
  for (const study::OperationLine& line : p.operations) {
    if (line.op->stream == plan::Stream::kCompute && line.program != "step") alone += line.Total();
  }
  const Seconds host = static_cast<double>(ForwardPasses(p)) * costs.HostOfBatch();
  const Seconds longer = a.compute + a.recompute - Seconds(alone) - host;
  if (longer < 1e-4 * p.metrics.step_time) return;
  const auto on = [&](plan::Stream stream) { return ThreeDigits(beside.compute[static_cast<std::size_t>(stream)]); };
  std::printf("compute while communication runs beside it\n");
  std::printf("  %s longer than its ops alone, %s of the step; what gradients add to passes counts as data\n",
              HumanTime(longer).c_str(), Percent(longer / p.metrics.step_time).c_str());
  if (beside.product > 1)
    std::printf("    products up to %s times as long: blocks wait for multiprocessors that communication holds  %s\n",
                ThreeDigits(beside.product).c_str(), sources.Note(costs.ContentionSource()).c_str());
  std::printf("    %s %s times as long beside tensor collectives, %s beside gradients and parameters  %s\n",
              beside.product > 1 ? "other kernels" : "kernels", on(plan::Stream::kTensor).c_str(),
              on(plan::Stream::kData).c_str(), sources.Note(costs.ContentionSource()).c_str());
}

/// The two parts of a step that no op of the stage makes: messages from neighbours, and having nothing to do.
void PrintPipeline(const study::Prediction& p, const costmodel::Costs& costs, Sources& sources) {
  if (p.plan.layout.pp == 1) return;
  const plan::Attribution& a = p.metrics.attribution;
  const bool waits = p.plan.messages == plan::MessageMode::kBlocking;
  const auto terms = costs.ExplainMessage(p.plan.message_bytes, p.plan.message_scatter_gather, p.plan.messages);
  Seconds one;
  for (const costmodel::Term& term : terms) one += term.time;
  std::printf("pipeline message to the next stage or the one before, %s\n",
              waits ? "which compute waits for" : "beside compute");
  std::printf("  %s each on the dearest hop; the stage waits %s for them, %s of the step\n", HumanTime(one).c_str(),
              HumanTime(a.pipeline).c_str(), Percent(a.pipeline / p.metrics.step_time).c_str());
  PrintTerms(terms, sources);
  const plan::Schedule& schedule = p.plan.schedule;
  std::printf("bubble of %s, p = %d ranks, v = %d chunks each, m = %s microbatches\n",
              plan::NameOf(p.scenario.strategy.schedule).c_str(), schedule.placement.ranks, schedule.placement.chunks,
              Grouped(p.scenario.Microbatches()).c_str());
  std::printf("  %s waiting for work that no other stage has sent, %s of the stage's own work\n",
              HumanTime(a.bubble).c_str(), Percent(p.metrics.bubble_over_ideal).c_str());
  std::printf("  played task by task: each starts when its rank is free and its input is there (docs/equations.md)\n");
}

void PrintParts(const plan::Metrics& m) {
  std::printf("%s a step on stage %d, the busiest:\n", HumanTime(m.step_time).c_str(), m.reported_rank);
  std::printf("%s\n", TimeTable(m, 3).Text().c_str());
}

int Explain(const std::string& file, const std::string& name) {
  const plan::Scenario scenario = plan::ReadScenario(file);
  const study::Prediction p = study::Predict(scenario);
  const costmodel::Costs costs = study::CostsOf(scenario);
  std::vector<std::string> names;
  Sources sources;
  bool found = false;
  if (name.empty()) PrintParts(p.metrics);
  std::printf("%s\n\n", name.empty() ? "Every op of it, longest first" : "The op where it occurs, longest first");
  for (const study::OperationLine& line : p.operations) {
    names.push_back(line.name);
    if (!name.empty() && line.name != name && line.program + "." + line.name != name) continue;
    found = true;
    PrintLine(line, costs, p.metrics.step_time, sources);
  }
  if (!found) {
    std::sort(names.begin(), names.end());
    names.erase(std::unique(names.begin(), names.end()), names.end());
    const std::string nearest = Nearest(name, names);
    throw Error("--op " + name, "is no op of this scenario",
                nearest.empty() ? "its ops: " + JoinedWith(names, "and") : "did you mean \"" + nearest + "\"?");
  }
  if (name.empty()) {
    PrintBatches(p, costs, sources);
    PrintBeside(p, costs, sources);
    PrintPipeline(p, costs, sources);
    PrintKept(p.plan);
    PrintOffload(p);
  }
  sources.Print();
  return kAnswered;
}

}  // namespace

Verb ExplainVerb() {
  return {.name = "explain",
          .summary = "why a number is what it is: formula, inputs, source",
          .example = "isochrone explain scenarios/examples/gpt3_on_64_a100.json --op fc1",
          .declare = [](Options& options) {
            struct Asked {
              std::string scenario, op;
            };
            auto asked = std::make_shared<Asked>();
            options.Positional(asked->scenario, "scenario", "a scenario file");
            options.Text(asked->op, "--op", "only this op, for example fc1 or transformer.fc1");
            return [asked] { return Explain(asked->scenario, asked->op); };
          }};
}

}  // namespace isochrone::cli
