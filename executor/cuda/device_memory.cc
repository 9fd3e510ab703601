#include "executor/cuda/device_memory.h"

#include "base/error.h"
#include "base/text.h"

namespace isochrone::executor::cuda {
namespace {

constexpr std::size_t kAlignment = 256;  // of cudaMalloc

std::size_t Rounded(std::size_t bytes) {
  return (std::max<std::size_t>(bytes, 1) + kAlignment - 1) / kAlignment * kAlignment;
}

}  // namespace

DeviceMemory::~DeviceMemory() { ReleaseSpare(); }

DeviceMemory::Handle DeviceMemory::Allocate(plan::BufferKind kind, std::size_t bytes, const std::string& what) {
  const double size = static_cast<double>(bytes);
  const std::size_t held = Rounded(bytes);
  if (limit_ > 0 && live_ + size > limit_) {
    throw Error("buffer " + what,
                "needs " + HumanBytes(isochrone::Bytes(size)) + " beside " + HumanBytes(isochrone::Bytes(live_)) +
                    " in use; the limit of a rank is " + HumanBytes(isochrone::Bytes(limit_)),
                "recompute more, use smaller microbatches, or spread the model over more GPUs");
  }
  std::vector<Spare>& spare = spare_[held];
  Spare chosen{nullptr, {}};
  if (!spare.empty()) {
    chosen = spare.back();
    spare.pop_back();
  } else {
    try {
      chosen.data = calls_.Malloc(held);
    } catch (const Error&) {  // blocks of other sizes may be in the way
      ReleaseSpare();
      try {
        chosen.data = calls_.Malloc(held);
      } catch (const Error& e) {
        throw Error("buffer " + what,
                    "needs " + HumanBytes(isochrone::Bytes(size)) + " beside " + HumanBytes(isochrone::Bytes(live_)) +
                        " in use: " + e.fault,
                    "recompute more, use smaller microbatches, or spread the model over more GPUs");
      }
    }
  }
  live_ += size;
  by_kind_[static_cast<std::size_t>(kind)] += size;
  if (live_ > peak_) {
    peak_ = live_;
    at_peak_ = by_kind_;
  }
  return std::make_shared<Block>(*this, kind, bytes, held, chosen.data, chosen.uses);
}

void DeviceMemory::Return(const Block& block) {
  live_ -= static_cast<double>(block.bytes_);
  by_kind_[static_cast<std::size_t>(block.kind_)] -= static_cast<double>(block.bytes_);
  spare_[block.held_].push_back({block.data_, block.uses});
}

/// cudaFree waits for the device, so the last uses need no wait of ours.
void DeviceMemory::ReleaseSpare() {
  for (auto& [size, blocks] : spare_)
    for (const Spare& s : blocks) calls_.Free(s.data);
  spare_.clear();
}

plan::StageMemory DeviceMemory::AtPeak() const {
  const auto of = [this](plan::BufferKind kind) { return isochrone::Bytes(at_peak_[static_cast<std::size_t>(kind)]); };
  plan::StageMemory m;
  m.parameters = of(plan::BufferKind::kParameter);
  m.gradients = of(plan::BufferKind::kGradient);
  m.optimizer = of(plan::BufferKind::kOptimizer);
  m.activations = of(plan::BufferKind::kActivation);
  m.workspace = of(plan::BufferKind::kWorkspace);
  m.communication = of(plan::BufferKind::kCommunication);
  return m;
}

}  // namespace isochrone::executor::cuda
