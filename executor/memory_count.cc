#include "executor/memory_count.h"

#include "base/error.h"
#include "base/text.h"

namespace isochrone::executor {

void MemoryCount::Check(std::size_t bytes, const std::string& what) const {
  if (limit_ > 0 && live_ + static_cast<double>(bytes) > limit_)
    Refuse(bytes, what, "; the limit of a rank is " + HumanBytes(Bytes(limit_)));
}

void MemoryCount::Refuse(std::size_t bytes, const std::string& what, const std::string& why) const {
  throw Error("buffer " + what,
              "needs " + HumanBytes(Bytes(static_cast<double>(bytes))) + " beside " + HumanBytes(Bytes(live_)) +
                  " in use" + why,
              "recompute more, use smaller microbatches, or spread the model over more ranks");
}

void MemoryCount::Add(plan::BufferKind kind, std::size_t bytes) {
  live_ += static_cast<double>(bytes);
  by_kind_[static_cast<std::size_t>(kind)] += static_cast<double>(bytes);
  if (live_ <= peak_) return;
  peak_ = live_;
  at_peak_ = by_kind_;
}

void MemoryCount::Remove(plan::BufferKind kind, std::size_t bytes) {
  live_ -= static_cast<double>(bytes);
  by_kind_[static_cast<std::size_t>(kind)] -= static_cast<double>(bytes);
}

plan::StageMemory MemoryCount::AtPeak() const {
  const auto of = [this](plan::BufferKind kind) { return Bytes(at_peak_[static_cast<std::size_t>(kind)]); };
  plan::StageMemory m;
  m.parameters = of(plan::BufferKind::kParameter);
  m.gradients = of(plan::BufferKind::kGradient);
  m.optimizer = of(plan::BufferKind::kOptimizer);
  m.activations = of(plan::BufferKind::kActivation);
  m.workspace = of(plan::BufferKind::kWorkspace);
  m.communication = of(plan::BufferKind::kCommunication);
  return m;
}

}  // namespace isochrone::executor
