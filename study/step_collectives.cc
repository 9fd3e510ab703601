#include "study/step_collectives.h"

#include <algorithm>
#include <array>
#include <limits>

#include "costmodel/collective_algorithm.h"
#include "costmodel/communication.h"

namespace isochrone::study {

namespace {

using plan::Phase;
using plan::Stream;
using sim::network::TaskCollective;
using List = std::vector<TaskCollective>;

/// One pass of one layer: its crossing collectives from the pass's start, and how long it takes.
struct PassCollectives {
  List list;
  double total = 0;
};

/// Where the first op starts that waits for `op`: by name, or as the next on its stream.
double NeededAt(const std::vector<plan::Op>& ops, const std::vector<costmodel::OpSpan>& spans, std::size_t op) {
  double at = std::numeric_limits<double>::infinity();
  bool next_on_stream = true;
  for (std::size_t i = 0; i < ops.size(); ++i) {
    const std::vector<int>& after = ops[i].after;
    const bool follows = i > op && ops[i].stream == ops[op].stream && next_on_stream;
    if (follows) next_on_stream = false;
    if (follows || std::find(after.begin(), after.end(), static_cast<int>(op)) != after.end())
      at = std::min(at, spans[i].start);
  }
  return at;
}

using Shapes = std::array<plan::GroupShape, plan::kGroups>;

Shapes ShapesOf(const plan::Layout& layout) {
  Shapes shapes;
  for (std::size_t g = 0; g < plan::kGroups; ++g) shapes[g] = plan::ShapeOf(layout, static_cast<plan::Group>(g));
  return shapes;
}

class Finder {
 public:
  Finder(const plan::Plan& plan, const Pricing& pricing, const costmodel::Costs& costs, const Shapes& shapes,
         const sim::network::StepCollectives& ways)
      : plan_(plan), pricing_(pricing), costs_(costs), shapes_(shapes), ways_(ways) {
    for (std::size_t p = 0; p < plan.programs.size(); ++p)
      for (std::size_t phase = 0; phase < plan::kPhases; ++phase) passes_.push_back(PassOf(p, phase));
  }

  bool None() const {
    return std::all_of(passes_.begin(), passes_.end(), [](const PassCollectives& p) { return p.list.empty(); });
  }

  List TaskOf(int stage, Phase phase) const {
    List all;
    double now = 0;
    for (const std::size_t program : LayersOf(stage, phase)) {
      if (phase == Phase::kBackward || phase == Phase::kBackwardInput) Append(program, Phase::kRecompute, &now, &all);
      Append(program, phase, &now, &all);
    }
    List in_place, hidden;
    for (const TaskCollective& c : all) (Hidden(c) ? hidden : in_place).push_back(c);
    for (const TaskCollective& c : Spread(hidden, now)) in_place.push_back(c);
    return in_place;
  }

  List PairOf(int forward, int backward, double work) const {
    List all = TaskOf(forward, Phase::kForward);
    for (const TaskCollective& c : TaskOf(backward, Phase::kBackward)) all.push_back(c);
    return Spread(all, work);
  }

 private:
  bool Hidden(const TaskCollective& c) const { return costs_.OverlapsExperts() && c.stream == Stream::kExpert; }

  PassCollectives PassOf(std::size_t program, std::size_t phase) const {
    const std::vector<plan::Op>& ops = plan_.programs[program].ops[phase];
    const ProgramPrice& price = pricing_.programs[program];
    PassCollectives pass{{}, price.pass[phase].total};
    const auto spans = costmodel::SpansOfPass(ops, costs_.HeldSeconds(ops, price.op_seconds[phase]),
                                              costs_.ContentionOf(), price.late[phase]);
    double unhidden = 0;  // what the pass takes before another direction's compute hides some of it
    for (const costmodel::OpSpan& span : spans) unhidden = std::max(unhidden, span.end);
    const double scale = unhidden > 0 ? pass.total / unhidden : 1;
    for (std::size_t i = 0; i < ops.size(); ++i) {
      const auto* collective = std::get_if<plan::Collective>(&ops[i].kind);
      if (collective == nullptr || shapes_[static_cast<std::size_t>(collective->group)].nodes < 2) continue;
      TaskCollective c{.stream = ops[i].stream, .op = *collective, .algorithm = ways_.AlgorithmOf(*collective)};
      c.begin = scale * spans[i].start;
      c.end = std::min(pass.total, scale * NeededAt(ops, spans, i));
      c.alone = spans[i].end - spans[i].start;
      if (!Hidden(c)) c.alone = std::min(c.alone, c.end - c.begin);
      pass.list.push_back(c);
    }
    return pass;
  }

  /// Programs of a stage's layers in the order that a pass runs them.
  std::vector<std::size_t> LayersOf(int stage, Phase phase) const {
    std::vector<std::size_t> layers;
    for (const plan::Section& s : plan_.stages[static_cast<std::size_t>(stage)].sections)
      layers.insert(layers.end(), static_cast<std::size_t>(s.count), static_cast<std::size_t>(s.program));
    if (phase != Phase::kForward) std::reverse(layers.begin(), layers.end());
    return layers;
  }

  void Append(std::size_t program, Phase phase, double* now, List* all) const {
    const PassCollectives& pass = passes_[program * plan::kPhases + static_cast<std::size_t>(phase)];
    for (TaskCollective c : pass.list) {
      c.begin += *now;
      c.end += *now;
      all->push_back(c);
    }
    *now += pass.total;
  }

  /// As one of each way over the network, over the whole of `work`.
  static List Spread(const List& all, double work) {
    List joined = sim::network::Merged(all, 0);
    for (TaskCollective& c : joined) {
      c.begin = 0;
      c.end = work;
      c.alone = std::min(work, TimeAlone(all, c));
    }
    return joined;
  }

  static double TimeAlone(const List& all, const TaskCollective& way) {
    double sum = 0;
    for (const TaskCollective& c : all)
      if (sim::network::SameWay(c, way)) sum += c.alone;
    return sum;
  }

  const plan::Plan& plan_;
  const Pricing& pricing_;
  const costmodel::Costs& costs_;
  const Shapes& shapes_;
  const sim::network::StepCollectives& ways_;
  std::vector<PassCollectives> passes_;  // [program * kPhases + phase]
};

}  // namespace

sim::network::StepCollectives StepCollectivesOf(const plan::Cluster& cluster, const plan::Plan& plan,
                                                const Pricing& pricing, const costmodel::Costs& costs) {
  sim::network::StepCollectives found;
  const Shapes shapes = ShapesOf(plan.layout);
  const auto profile = costmodel::CollectiveProfileOf(cluster.node);
  found.algorithm = [&cluster, shapes, profile](const plan::Collective& op) {
    return costmodel::AlgorithmOf(*profile, cluster, shapes[static_cast<std::size_t>(op.group)], op.kind, op.bytes);
  };
  const Finder finder(plan, pricing, costs, shapes, found);
  if (finder.None()) return found;
  const plan::Placement& place = plan.schedule.placement;
  for (int rank = 0; rank < place.ranks; ++rank)
    for (int chunk = 0; chunk < place.chunks; ++chunk) {
      const int stage = place.StageOf(rank, chunk);
      for (std::size_t phase = 0; phase < plan::kPhases; ++phase)
        found.task.push_back(finder.TaskOf(stage, static_cast<Phase>(phase)));
      for (int other = 0; !pricing.step.overlapped.empty() && other < place.chunks; ++other)
        found.pair.push_back(
            finder.PairOf(stage, place.StageOf(rank, other), pricing.step.overlapped[found.pair.size()]));
    }
  return found;
}

}  // namespace isochrone::study
