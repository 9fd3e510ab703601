#include "executor/extents.h"

#include <algorithm>
#include <map>
#include <string>

#include "base/error.h"

namespace isochrone::executor {
namespace {

using plan::Phase;

/// Rows that the forward ops of an expert layer write (plan/layers/experts.cc).
Extent WrittenBy(const std::string& name) {
  static const std::map<std::string, Extent> extents = {
      {"dispatch", Extent::kSent},          {"dispatch_exchange", Extent::kArriving},
      {"dispatch_gather", Extent::kHeld},   {"dispatch_sort", Extent::kHeld},
      {"experts.fc1", Extent::kHeld},       {"experts.activation", Extent::kHeld},
      {"experts.fc2", Extent::kHeld},       {"return_sort", Extent::kHeld},
      {"return_reduce", Extent::kArriving}, {"return_exchange", Extent::kSent}};
  const auto it = extents.find(name);
  return it == extents.end() ? Extent::kPlanned : it->second;
}

}  // namespace

Extents ExtentsOf(const plan::LayerProgram& p) {
  Extents extents(p.buffers.size(), Extent::kPlanned);
  const auto at = [&](int b) -> Extent& { return extents[static_cast<std::size_t>(b)]; };
  for (const plan::Op& op : p.Ops(Phase::kForward)) {
    for (int b : op.out) at(b) = WrittenBy(op.name);
  }
  // What goes back has the rows of what came: gradients stand in the order of the forward op's activations.
  for (const plan::Op& op : p.Ops(Phase::kBackward)) {
    const auto& forward = p.Ops(Phase::kForward);
    const auto it = std::find_if(forward.begin(), forward.end(), [&](const plan::Op& f) { return f.name == op.name; });
    if (it == forward.end() || op.in.empty()) continue;
    for (std::size_t i = 0; i < std::min(op.out.size(), it->in.size()); ++i) {
      if (p.buffers[static_cast<std::size_t>(op.out[i])].kind != plan::BufferKind::kGradient)
        at(op.out[i]) = at(it->in[i]);
    }
  }
  return extents;
}

Index ElementsOf(const plan::Buffer& buffer, Extent extent, const Routing* routing) {
  if (extent == Extent::kPlanned) return static_cast<Index>(buffer.Elements());
  ISO_CHECK_NOTE(routing != nullptr, buffer.name);
  const Index rows = extent == Extent::kSent       ? routing->Sent()
                     : extent == Extent::kArriving ? routing->Arriving()
                                                   : routing->Held();
  return static_cast<Index>(buffer.Elements()) / buffer.shape.front() * rows;
}

}  // namespace isochrone::executor
