#include "executor/cuda/device_memory.h"

#include "base/error.h"

namespace isochrone::executor::cuda {
namespace {

constexpr std::size_t kAlignment = 256;  // of cudaMalloc

std::size_t Rounded(std::size_t bytes) {
  return (std::max<std::size_t>(bytes, 1) + kAlignment - 1) / kAlignment * kAlignment;
}

}  // namespace

DeviceMemory::~DeviceMemory() { ReleaseSpare(); }

DeviceMemory::Handle DeviceMemory::Allocate(plan::BufferKind kind, std::size_t bytes, const std::string& what) {
  const std::size_t held = Rounded(bytes);
  count_.Check(bytes, what);
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
        count_.Refuse(bytes, what, ": " + e.fault);
      }
    }
  }
  count_.Add(kind, bytes);
  return std::make_shared<Block>(*this, kind, bytes, held, chosen.data, chosen.uses);
}

void DeviceMemory::Return(const Block& block) {
  count_.Remove(block.kind_, block.bytes_);
  spare_[block.held_].push_back({block.data_, block.uses});
}

/// cudaFree waits for the device, so the last uses need no wait of ours.
void DeviceMemory::ReleaseSpare() {
  for (auto& [size, blocks] : spare_)
    for (const Spare& s : blocks) calls_.Free(s.data);
  spare_.clear();
}

}  // namespace isochrone::executor::cuda
