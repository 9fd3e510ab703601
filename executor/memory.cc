#include "executor/memory.h"

#include <cstdlib>
#include <new>

#include "base/error.h"
#include "base/text.h"

namespace isochrone::executor {
namespace {

constexpr std::size_t kAlignment = 64;

std::size_t Rounded(std::size_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment + kAlignment; }

}  // namespace

Memory::~Memory() {
  for (auto& [size, blocks] : spare_) {
    for (void* data : blocks) std::free(data);
  }
}

Memory::Handle Memory::Allocate(plan::BufferKind kind, std::size_t bytes, const std::string& what) {
  const double size = static_cast<double>(bytes);
  if (limit_ > 0 && live_ + size > limit_) {
    throw Error("buffer " + what,
                "needs " + HumanBytes(Bytes(size)) + " beside " + HumanBytes(Bytes(live_)) +
                    " in use; the limit of a rank is " + HumanBytes(Bytes(limit_)),
                "recompute more, use smaller microbatches, or spread the model over more ranks");
  }
  std::vector<void*>& spare = spare_[bytes];
  void* data = nullptr;
  if (spare.empty()) {
    data = std::aligned_alloc(kAlignment, Rounded(bytes));
    if (data == nullptr) throw std::bad_alloc();
  } else {
    data = spare.back();
    spare.pop_back();
  }
  live_ += size;
  by_kind_[static_cast<std::size_t>(kind)] += size;
  if (live_ > peak_) {
    peak_ = live_;
    at_peak_ = by_kind_;
  }
  return std::make_shared<Block>(*this, kind, bytes, data);
}

void Memory::Free(Block& block) {
  live_ -= static_cast<double>(block.bytes_);
  by_kind_[static_cast<std::size_t>(block.kind_)] -= static_cast<double>(block.bytes_);
  spare_[block.bytes_].push_back(block.data_);
}

plan::StageMemory Memory::AtPeak() const {
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
