#include "executor/memory.h"

#include <cstdlib>
#include <new>

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
  count_.Check(bytes, what);
  std::vector<void*>& spare = spare_[bytes];
  void* data = nullptr;
  if (spare.empty()) {
    data = std::aligned_alloc(kAlignment, Rounded(bytes));
    if (data == nullptr) throw std::bad_alloc();
  } else {
    data = spare.back();
    spare.pop_back();
  }
  count_.Add(kind, bytes);
  return std::make_shared<Block>(*this, kind, bytes, data);
}

void Memory::Free(Block& block) {
  count_.Remove(block.kind_, block.bytes_);
  spare_[block.bytes_].push_back(block.data_);
}

}  // namespace isochrone::executor
