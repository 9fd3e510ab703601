#include "executor/liveness.h"

#include <map>
#include <set>

namespace isochrone::executor {
namespace {

using plan::Phase;

std::set<int> ReadBy(const std::vector<plan::Op>& ops) {
  std::set<int> read;
  for (const plan::Op& op : ops) read.insert(op.in.begin(), op.in.end());
  return read;
}

/// Last uses over several lists run one after the other; one Releases each. Buffers of `stay` are never released.
std::vector<Releases> LastUses(const plan::LayerProgram& p, const std::vector<const std::vector<plan::Op>*>& lists,
                               const std::set<int>& stay) {
  std::map<int, std::pair<std::size_t, std::size_t>> last;
  std::vector<Releases> releases;
  for (std::size_t l = 0; l < lists.size(); ++l) {
    releases.emplace_back(lists[l]->size());
    for (std::size_t i = 0; i < lists[l]->size(); ++i) {
      for (int b : (*lists[l])[i].in) last[b] = {l, i};
      for (int b : (*lists[l])[i].out) last[b] = {l, i};
    }
  }
  for (const auto& [b, at] : last) {
    const plan::Buffer& buffer = p.buffers[static_cast<std::size_t>(b)];
    if (buffer.lifetime == plan::Lifetime::kTask && stay.count(b) == 0) releases[at.first][at.second].push_back(b);
  }
  return releases;
}

}  // namespace

Liveness LivenessOf(const plan::LayerProgram& p) {
  Liveness live;
  const std::vector<plan::Op>&recompute = p.Ops(Phase::kRecompute), &weight = p.Ops(Phase::kBackwardWeight);
  live.forward = LastUses(p, {&p.Ops(Phase::kForward)}, {p.output}).front();
  std::vector<Releases> whole = LastUses(p, {&recompute, &p.Ops(Phase::kBackward)}, {p.input_gradient});
  live.backward = std::move(whole[1]);
  std::set<int> stay = ReadBy(weight);
  stay.insert(p.input_gradient);
  std::vector<Releases> half = LastUses(p, {&recompute, &p.Ops(Phase::kBackwardInput)}, stay);
  // The same for the full pass: what the weight half reads is not dropped, and recomputation reads no gradients.
  live.recompute = std::move(half[0]);
  live.backward_input = std::move(half[1]);
  live.backward_weight = LastUses(p, {&weight}, {}).front();
  const std::set<int> read = ReadBy(weight);
  for (std::size_t b = 0; b < p.buffers.size(); ++b) {
    if (p.buffers[b].lifetime == plan::Lifetime::kMicrobatch && read.count(static_cast<int>(b)) == 0)
      live.after_backward_input.push_back(static_cast<int>(b));
  }
  if (p.input_gradient >= 0 && read.count(p.input_gradient) == 0) live.after_backward_input.push_back(p.input_gradient);
  return live;
}

}  // namespace isochrone::executor
