#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "executor/liveness.h"
#include "executor/parameters.h"
#include "plan/plan.h"

namespace isochrone::executor {

/// True for a copy that a framework makes beside its collectives (plan/layer_traffic.cc): ours work in place, on
/// gradients that have the format that travels.
inline bool IsCopyBesideState(const plan::Op& op) {
  return op.in.empty() && op.out.empty() && std::holds_alternative<plan::Elementwise>(op.kind);
}
/// True for an op that moves a layer's state, not its activations: see executor/layer_state.h.
inline bool MovesState(const plan::Op& op) {
  return op.in.empty() && op.out.empty() && std::holds_alternative<plan::Collective>(op.kind);
}

/// The walk of one rank through its tasks, layer by layer, whatever computes them: a CPU or a GPU.
///
/// P       a parameter's shard; KeyOf(p) names it
/// Handle  holds a buffer while it lives; reset() lets it go
/// Self    has  P* AddParameter(Slot&, program, buffer, layer)
///              Handle Arriving(slot, chunk, microbatch, backward)     from the neighbouring stage
///              void Leaving(slot, microbatch, backward, Handle)       to it
///              void BindText(layer, frame, microbatch)                tokens and labels, which no op makes
///              void RunOps(layer, frame, phase, releases, microbatch)
///              const Liveness& LivenessOf(layer)
///              void BeginPass(), EndPass(task), EnterLayer(layer, phase), LeaveLayer(layer, phase)
///
/// It holds buffers: whoever owns it declares it after the memory that they come from.
template <class Self, class P, class Handle>
class Walk {
 public:
  using Frame = std::vector<Handle>;  // [buffer of the program]
  struct Layer {
    const plan::LayerProgram* program = nullptr;
    int program_index = 0, layer = -1;
    bool output_is_kept = false;  // the next layer keeps its input
    std::vector<P*> parameter;    // [buffer], of gradients too; null for activations
    std::vector<P*> uses;         // each once, borrowed ones too
  };
  struct Slot {
    int stage = 0, direction = 0;
    std::vector<Layer> layers;
    std::vector<std::unique_ptr<P>> parameters;
  };

  explicit Walk(Self& self) : self_(self) {}

  const std::vector<Slot>& slots() const { return slots_; }  // [chunk]

  /// The rank's chunks with their layers, in order. AddParameter is called once for each parameter of a layer.
  void BuildSlots(const plan::Plan& plan, int pipeline_rank) {
    const plan::Placement& place = plan.schedule.placement;
    slots_.resize(static_cast<std::size_t>(place.chunks));
    for (int chunk = 0; chunk < place.chunks; ++chunk) {
      Slot& slot = slots_[static_cast<std::size_t>(chunk)];
      slot.stage = place.StageOf(pipeline_rank, chunk);
      slot.direction = place.DirectionOf(pipeline_rank, chunk);
      for (const plan::Section& section : plan.stages[static_cast<std::size_t>(slot.stage)].sections) {
        for (int i = 0; i < section.count; ++i)
          AddLayer(slot, plan, section.program, section.first_layer < 0 ? -1 : section.first_layer + i);
      }
      for (std::size_t l = 0; l + 1 < slot.layers.size(); ++l) {
        const plan::LayerProgram& next = *slot.layers[l + 1].program;
        slot.layers[l].output_is_kept =
            next.buffers[static_cast<std::size_t>(next.input)].lifetime == plan::Lifetime::kMicrobatch;
      }
    }
  }

  /// The parameter that another layer of this rank owns. Throws Error where none does.
  P* Borrowed(const plan::LayerProgram& program, const std::string& name) {
    for (Slot& slot : slots_) {
      for (auto& p : slot.parameters) {
        if (KeyOf(*p) == name) return p.get();
      }
    }
    ISO_CHECK_NOTE(false, program.name + " borrows " + name);
    return nullptr;
  }

  std::vector<P*> ParametersOf(int chunk) {
    std::vector<P*> all;
    for (auto& p : slots_[static_cast<std::size_t>(chunk)].parameters) all.push_back(p.get());
    return all;
  }
  std::vector<P*> Parameters() {
    std::vector<P*> all;
    for (Slot& slot : slots_) {
      for (auto& p : slot.parameters) all.push_back(p.get());
    }
    return all;
  }

  /// Throws Error for a task that stands for recomputation alone: ranks recompute within the backward pass.
  void RunTask(const plan::Task& task) {
    using plan::Phase;
    switch (task.phase) {
      case Phase::kForward:
        return Forward(task.chunk, task.microbatch);
      case Phase::kBackward:
        return BackwardInput(task.chunk, task.microbatch, true);
      case Phase::kBackwardInput:
        return BackwardInput(task.chunk, task.microbatch, false);
      case Phase::kBackwardWeight:
        return BackwardWeight(task.chunk, task.microbatch);
      case Phase::kOverlapped:  // a rank computes one thing at a time
        Forward(task.chunk, task.microbatch);
        return BackwardInput(task.chunk_b, task.microbatch_b, true);
      case Phase::kRecompute:
        break;
    }
    throw Error("task " + plan::Print(task), "a rank recomputes within the backward pass only",
                "leave recompute tasks out of the schedule");
  }

 private:
  static plan::Task TaskOf(plan::Phase phase, int chunk, int microbatch) {
    return {
        .phase = phase, .chunk = static_cast<std::uint8_t>(chunk), .microbatch = static_cast<std::int32_t>(microbatch)};
  }

  void AddLayer(Slot& slot, const plan::Plan& plan, int index, int number) {
    const plan::LayerProgram& program = plan.programs[static_cast<std::size_t>(index)];
    const auto& buffers = program.buffers;
    Layer layer{.program = &program,
                .program_index = index,
                .layer = number,
                .parameter = std::vector<P*>(buffers.size(), nullptr),
                .uses = {}};
    for (std::size_t b = 0; b < buffers.size(); ++b) {
      if (buffers[b].kind == plan::BufferKind::kParameter)
        layer.parameter[b] = self_.AddParameter(slot, program, buffers[b], number);
    }
    for (std::size_t b = 0; b < buffers.size(); ++b) {
      if (buffers[b].kind != plan::BufferKind::kGradient) continue;
      for (std::size_t p = 0; p < buffers.size(); ++p) {
        if (buffers[b].name == "d_" + buffers[p].name) layer.parameter[b] = layer.parameter[p];
      }
    }
    for (P* p : layer.parameter) {
      if (p != nullptr && std::find(layer.uses.begin(), layer.uses.end(), p) == layer.uses.end())
        layer.uses.push_back(p);
    }
    slot.layers.push_back(std::move(layer));
  }

  void Forward(int chunk, int microbatch) {
    const Slot& slot = slots_[static_cast<std::size_t>(chunk)];
    std::vector<Frame>& frames = in_flight_[{chunk, microbatch}];
    frames.resize(slot.layers.size());
    Handle x;
    if (slot.stage > 0) x = self_.Arriving(slot, chunk, microbatch, false);
    self_.BeginPass();
    for (std::size_t l = 0; l < slot.layers.size(); ++l) {
      const Layer& layer = slot.layers[l];
      const plan::LayerProgram& p = *layer.program;
      Frame& frame = frames[l];
      frame.resize(p.buffers.size());
      if (x) frame[static_cast<std::size_t>(p.input)] = std::move(x);
      self_.EnterLayer(layer, plan::Phase::kForward);
      self_.BindText(layer, frame, microbatch);
      self_.RunOps(layer, frame, plan::Phase::kForward, self_.LivenessOf(layer).forward, microbatch);
      self_.LeaveLayer(layer, plan::Phase::kForward);
      if (p.output < 0) continue;
      Handle& y = frame[static_cast<std::size_t>(p.output)];
      x = y;
      if (p.buffers[static_cast<std::size_t>(p.output)].lifetime == plan::Lifetime::kTask) y.reset();
    }
    self_.EndPass(TaskOf(plan::Phase::kForward, chunk, microbatch));
    if (slot.layers.back().program->output >= 0) self_.Leaving(slot, microbatch, false, std::move(x));
  }

  void BackwardInput(int chunk, int microbatch, bool with_weights) {
    const Slot& slot = slots_[static_cast<std::size_t>(chunk)];
    std::vector<Frame>& frames = in_flight_.at({chunk, microbatch});
    const plan::Phase phase = with_weights ? plan::Phase::kBackward : plan::Phase::kBackwardInput;
    Handle dy;
    if (slot.layers.back().program->output >= 0) dy = self_.Arriving(slot, chunk, microbatch, true);
    self_.BeginPass();
    for (std::size_t l = slot.layers.size(); l-- > 0;) {
      const Layer& layer = slot.layers[l];
      const plan::LayerProgram& p = *layer.program;
      const Liveness& live = self_.LivenessOf(layer);
      Frame& frame = frames[l];
      if (p.output_gradient >= 0) frame[static_cast<std::size_t>(p.output_gradient)] = std::move(dy);
      self_.EnterLayer(layer, phase);
      self_.BindText(layer, frame, microbatch);
      self_.RunOps(layer, frame, plan::Phase::kRecompute, live.recompute, microbatch);
      self_.RunOps(layer, frame, phase, with_weights ? live.backward : live.backward_input, microbatch);
      self_.LeaveLayer(layer, phase);
      if (p.input_gradient >= 0) dy = frame[static_cast<std::size_t>(p.input_gradient)];
      if (with_weights) {
        frame.clear();
      } else {
        for (int b : live.after_backward_input) frame[static_cast<std::size_t>(b)].reset();
      }
    }
    self_.EndPass(TaskOf(phase, chunk, microbatch));
    if (with_weights) in_flight_.erase({chunk, microbatch});
    if (slot.stage > 0) self_.Leaving(slot, microbatch, true, std::move(dy));
  }

  /// Needs no whole parameter, so that no layer is entered; what it adds to gradients is handed on as layers are left.
  void BackwardWeight(int chunk, int microbatch) {
    const Slot& slot = slots_[static_cast<std::size_t>(chunk)];
    std::vector<Frame>& frames = in_flight_.at({chunk, microbatch});
    self_.BeginPass();
    for (std::size_t l = slot.layers.size(); l-- > 0;) {
      const Layer& layer = slot.layers[l];
      self_.BindText(layer, frames[l], microbatch);
      self_.RunOps(layer, frames[l], plan::Phase::kBackwardWeight, self_.LivenessOf(layer).backward_weight, microbatch);
      self_.LeaveLayer(layer, plan::Phase::kBackwardWeight);
      frames[l].clear();
    }
    in_flight_.erase({chunk, microbatch});
    self_.EndPass(TaskOf(plan::Phase::kBackwardWeight, chunk, microbatch));
  }

  Self& self_;
  std::vector<Slot> slots_;
  std::map<std::pair<int, int>, std::vector<Frame>> in_flight_;  // (chunk, microbatch): [layer]
};

}  // namespace isochrone::executor
