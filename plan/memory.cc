#include "plan/memory.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>
#include <variant>

#include "plan/build.h"
#include "plan/kernel_workspace.h"
#include "plan/layer_traffic.h"
#include "plan/state_memory.h"

namespace isochrone::plan {
namespace {

/// Ranks that are threads of a CPU (executor/run.h): no library takes memory beside theirs.
bool OnCpu(const Scenario& s) { return s.cluster.node.gpu.architecture == "cpu"; }

bool Counted(const Buffer& b) {
  return b.kind == BufferKind::kActivation || b.kind == BufferKind::kCommunication || b.kind == BufferKind::kWorkspace;
}

/// What an op takes only while it works. Held exactly, its kernel's workspace; on a GPU a product of weight gradients
/// that is added to what is there: its result is a buffer of its own until it is added.
Bytes Taken(const LayerProgram& p, const Op& op, Holding holding) {
  if (holding == Holding::kExact) return CpuKernelWorkspace(op);
  const auto* gemm = std::get_if<Gemm>(&op.kind);
  if (gemm == nullptr || !gemm->accumulate || op.out.empty()) return Bytes(0);
  return p.buffers[static_cast<std::size_t>(op.out.front())].Elements() * SizeOf(gemm->output);
}

bool Fetches(const Op& op) {
  return op.name == "parameters" || op.name == "expert_parameters" || op.name == "parameters_fetch";
}

Bytes StoredBytes(const LayerProgram& p) {
  Bytes sum;
  for (const Buffer& b : p.buffers) {
    if (b.kind == BufferKind::kParameter && !b.borrowed) sum += b.Size();
  }
  return sum;
}

/// Most bytes alive at once while `ops` run in order, beside what is kept between passes. A buffer lives from the op
/// that writes it (or the start, for what enters) to the last op that reads it (or the end, for what is in `leave`).
/// The next layer's parameters, of which this one's are the measure, live from the op that fetches them.
Bytes Workspace(const LayerProgram& p, const std::vector<const Op*>& ops, int enters, const std::set<int>& leave,
                Holding holding) {
  std::map<int, std::pair<std::size_t, std::size_t>> life;
  for (std::size_t i = 0; i < ops.size(); ++i) {
    for (int b : ops[i]->out) life.try_emplace(b, i, i).first->second.second = i;
    for (int b : ops[i]->in) life.try_emplace(b, 0, i).first->second.second = i;
  }
  if (enters >= 0 && life.count(enters)) life[enters].first = 0;
  for (int b : leave) {
    if (life.count(b)) life[b].second = ops.empty() ? 0 : ops.size() - 1;
  }
  std::vector<double> change(ops.size() + 1, 0);
  for (const auto& [id, span] : life) {
    const Buffer& b = p.buffers[static_cast<std::size_t>(id)];
    if (!Counted(b) || b.lifetime != Lifetime::kTask) continue;
    change[span.first] += b.Size().value;
    change[span.second + 1] -= b.Size().value;
  }
  const auto fetch = std::find_if(ops.begin(), ops.end(), [](const Op* op) { return Fetches(*op); });
  if (holding == Holding::kExact && fetch != ops.end())
    change[static_cast<std::size_t>(fetch - ops.begin())] += StoredBytes(p).value;
  double now = 0, most = 0;
  for (std::size_t i = 0; i < ops.size(); ++i) {
    now += change[i];
    most = std::max(most, now + Taken(p, *ops[i], holding).value);
  }
  return Bytes(most);
}

std::vector<const Op*> Listed(const std::vector<Op>& a, const std::vector<Op>& b = {}) {
  std::vector<const Op*> all;
  for (const Op& op : a) all.push_back(&op);
  for (const Op& op : b) all.push_back(&op);
  return all;
}

/// What a task adds to the kept activations when it starts, and takes when it has ended.
struct Change {
  Bytes start, end, workspace;
};

Change ChangeOf(const Task& task, const std::vector<StageBytes>& slots, int chunks, int rank) {
  const StageBytes& s = slots[static_cast<std::size_t>(rank * chunks + task.chunk)];
  switch (task.phase) {
    case Phase::kForward:
      return {s.kept, Bytes(0), s.forward_workspace};
    case Phase::kBackward:
      return {Bytes(0), -s.kept, s.backward_workspace};
    case Phase::kBackwardInput:
      return {Bytes(0), s.kept_for_weight - s.kept, s.backward_input_workspace};
    case Phase::kBackwardWeight:
      return {Bytes(0), -s.kept_for_weight, Bytes(0)};
    case Phase::kOverlapped: {
      const StageBytes& b = slots[static_cast<std::size_t>(rank * chunks + task.chunk_b)];
      return {s.kept, -b.kept, s.forward_workspace + b.backward_workspace};
    }
    case Phase::kRecompute:
      break;
  }
  return {};
}

std::vector<StageBytes> SlotsOf(const Scenario& s, const Plan& plan) {
  std::vector<LayerBytes> layers;
  for (const LayerProgram& p : plan.programs) layers.push_back(BytesOf(p, HoldingOf(s)));
  std::vector<StageBytes> stages, slots;
  for (const StageContent& stage : plan.stages) stages.push_back(BytesOf(s.strategy, layers, stage, HoldingOf(s)));
  for (std::int16_t stage : plan.schedule.placement.stage) slots.push_back(stages[static_cast<std::size_t>(stage)]);
  return slots;
}

/// Most bytes of activations that lie outside the GPU at once.
Bytes AwayOf(const Plan& plan, const std::vector<StageBytes>& slots, int rank) {
  Bytes now, most;
  const int chunks = plan.schedule.placement.chunks;
  for (const Task& task : plan.schedule.order[static_cast<std::size_t>(rank)]) {
    const bool forward = task.phase == Phase::kForward || task.phase == Phase::kOverlapped;
    const bool ends = task.phase == Phase::kBackward || task.phase == Phase::kBackwardWeight;
    if (forward) now += slots[static_cast<std::size_t>(rank * chunks + task.chunk)].away;
    most = Max(most, now);
    if (ends) now += -1.0 * slots[static_cast<std::size_t>(rank * chunks + task.chunk)].away;
    if (task.phase == Phase::kOverlapped)
      now += -1.0 * slots[static_cast<std::size_t>(rank * chunks + task.chunk_b)].away;
  }
  return most;
}

}  // namespace

Holding HoldingOf(const Scenario& s) { return OnCpu(s) ? Holding::kExact : Holding::kFramework; }

LayerBytes BytesOf(const LayerProgram& p, Holding holding) {
  LayerBytes sum;
  sum.parameters = StoredBytes(p);
  std::set<int> weight_reads, input_writes;
  for (const Op& op : p.Ops(Phase::kBackwardWeight)) weight_reads.insert(op.in.begin(), op.in.end());
  for (const Op& op : p.Ops(Phase::kBackwardInput)) input_writes.insert(op.out.begin(), op.out.end());
  for (const Op& op : p.Ops(Phase::kRecompute)) input_writes.insert(op.out.begin(), op.out.end());
  for (std::size_t i = 0; i < p.buffers.size(); ++i) {
    const Buffer& b = p.buffers[i];
    const int id = static_cast<int>(i);
    if (!Counted(b)) continue;
    if (b.lifetime == Lifetime::kMicrobatch) {
      sum.kept += b.Size();
      if (b.statistic) sum.kept_statistics += b.Size();
      if (weight_reads.count(id)) sum.kept_for_weight += b.Size();
    } else if (weight_reads.count(id) && (input_writes.count(id) || id == p.output_gradient)) {
      sum.kept_for_weight += b.Size();
    }
  }
  sum.forward_workspace = Workspace(p, Listed(p.Ops(Phase::kForward)), p.input, {p.output}, holding);
  sum.backward_workspace = Workspace(p, Listed(p.Ops(Phase::kRecompute), p.Ops(Phase::kBackward)), p.output_gradient,
                                     {p.input_gradient}, holding);
  weight_reads.insert(p.input_gradient);
  sum.backward_input_workspace = sum.backward_workspace;
  if (holding == Holding::kFramework) return sum;
  sum.backward_input_workspace = Workspace(p, Listed(p.Ops(Phase::kRecompute), p.Ops(Phase::kBackwardInput)),
                                           p.output_gradient, weight_reads, holding);
  return sum;
}

StageBytes BytesOf(const Strategy& strategy, const std::vector<LayerBytes>& layers, const StageContent& stage,
                   Holding holding) {
  const bool stays = strategy.offload_activations == OffloadTarget::kNone;
  StageBytes sum;
  Bytes most;
  for (const Section& section : stage.sections) {
    const LayerBytes& l = layers[static_cast<std::size_t>(section.program)];
    const Bytes kept = stays ? l.kept : Bytes(0), rest = stays ? l.kept_for_weight : Bytes(0);
    // By how much a workspace of the layers before shrinks: what this layer does not keep yet, or no more, or has put
    // in its place.
    const bool exact = holding == Holding::kExact;
    const Bytes gone = exact ? section.count * kept : Bytes(0);
    const Bytes swap = exact ? rest + -1.0 * kept : Bytes(0);
    sum.forward_workspace = Max(sum.forward_workspace + -1.0 * gone, l.forward_workspace);
    sum.backward_workspace = Max(sum.backward_workspace + -1.0 * gone, l.backward_workspace);
    sum.backward_input_workspace =
        Max(sum.backward_input_workspace + section.count * swap,
            l.backward_input_workspace + Max(Bytes(0), static_cast<double>(section.count - 1) * swap));
    sum.kept += section.count * kept;
    sum.kept_for_weight += section.count * rest;
    if (!stays) sum.away += section.count * l.kept;
    most = Max(most, l.kept);
  }
  if (stays) return sum;
  for (Bytes* workspace : {&sum.forward_workspace, &sum.backward_workspace, &sum.backward_input_workspace})
    *workspace += 2 * most;
  return sum;
}

Bytes MessageBuffers(const Scenario& s) {
  if (s.strategy.pipeline == 1) return Bytes(0);
  const bool parts = HoldingOf(s) == Holding::kExact && ScattersMessages(s.strategy);
  return 2.0 / (parts ? s.strategy.tensor : 1) * MessageBytes(s);
}

std::vector<Bytes> MemoryByTask(const Scenario& s, const Plan& plan, int rank) {
  const std::vector<StageBytes> slots = SlotsOf(s, plan);
  std::vector<Bytes> bytes;
  Bytes now = StateOf(s, plan, rank).Total();
  for (const Task& task : plan.schedule.order[static_cast<std::size_t>(rank)]) {
    const Change change = ChangeOf(task, slots, plan.schedule.placement.chunks, rank);
    now += change.start;
    bytes.push_back(now + change.workspace);
    now += change.end;
  }
  bytes.push_back(now);
  return bytes;
}

std::vector<StageMemory> MemoryOf(const Scenario& s, const Plan& plan) {
  const std::vector<StageBytes> slots = SlotsOf(s, plan);
  std::vector<StageMemory> all;
  for (int rank = 0; rank < plan.schedule.placement.ranks; ++rank) {
    StageMemory memory = StateOf(s, plan, rank);
    Bytes now, fullest(-1);
    for (const Task& task : plan.schedule.order[static_cast<std::size_t>(rank)]) {
      const Change change = ChangeOf(task, slots, plan.schedule.placement.chunks, rank);
      now += change.start;
      if (now + change.workspace > fullest) {
        fullest = now + change.workspace;
        memory.activations = now;
        memory.workspace = change.workspace;
      }
      now += change.end;
    }
    const Bytes away = AwayOf(plan, slots, rank);
    Bytes none;
    Place(away, s.strategy.offload_activations, none, memory);
    memory.communication += MessageBuffers(s);
    all.push_back(memory);
  }
  return all;
}

}  // namespace isochrone::plan
