#include "executor/memory.h"

#include <algorithm>
#include <cstdlib>
#include <new>

namespace isochrone::executor {
namespace {

constexpr std::size_t kAlignment = 64;

std::size_t Rounded(std::size_t bytes) {
  return std::max<std::size_t>(1, (bytes + kAlignment - 1) / kAlignment) * kAlignment;
}

}  // namespace

Memory::~Memory() {
  for (auto& [size, blocks] : spare_) {
    for (void* data : blocks) std::free(data);
  }
}

Memory::Handle Memory::Allocate(plan::BufferKind kind, std::size_t bytes, const std::string& what) {
  count_.Check(bytes, what);
  const double size = static_cast<double>(bytes);
  void* data = nullptr;
  if (const auto spare = spare_.find(bytes); spare != spare_.end() && !spare->second.empty()) {
    data = spare->second.back();
    spare->second.pop_back();
    spare_bytes_ -= size;
  } else {
    MakeRoom(size);
    data = std::aligned_alloc(kAlignment, Rounded(bytes));
    if (data == nullptr) throw std::bad_alloc();
  }
  count_.Add(kind, bytes);
  return std::make_shared<Block>(*this, kind, bytes, data);
}

void Memory::Free(Block& block) {
  count_.Remove(block.kind_, block.bytes_);
  spare_[block.bytes_].push_back(block.data_);
  spare_bytes_ += static_cast<double>(block.bytes_);
}

void Memory::MakeRoom(double size) {
  const double most = std::max(count_.Peak(), count_.Live() + size);
  for (auto it = spare_.rbegin(); it != spare_.rend(); ++it) {
    for (std::vector<void*>& blocks = it->second; !blocks.empty(); blocks.pop_back()) {
      if (count_.Live() + spare_bytes_ + size <= most) return;
      std::free(blocks.back());
      spare_bytes_ -= static_cast<double>(it->first);
    }
  }
}

}  // namespace isochrone::executor
