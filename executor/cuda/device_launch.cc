// How a rank puts work on its streams.
#include "executor/cuda/device_rank.h"

namespace isochrone::executor::cuda {
namespace {

std::vector<Access> AccessesOf(const std::vector<DeviceMemory::Block*>& reads,
                               const std::vector<DeviceMemory::Block*>& writes) {
  std::vector<Access> accesses;
  for (const DeviceMemory::Block* b : reads) accesses.push_back({b->As<void>(), b->Bytes(), false});
  for (const DeviceMemory::Block* b : writes) accesses.push_back({b->As<void>(), b->Bytes(), true});
  return accesses;
}

}  // namespace

void DeviceRank::Enqueue(plan::Stream stream, const std::vector<Block*>& reads, const std::vector<Block*>& writes,
                         const std::function<void(Stream)>& launch) {
  for (const Block* b : reads) queues_.Before(stream, b->uses, false);
  for (const Block* b : writes) queues_.Before(stream, b->uses, true);
  const Stream on = queues_.StreamOf(stream);
  if (is_timed_) {
    now_.stream = stream;
    const std::size_t interval = timings_.Begin(now_, on);
    launch(on);
    timings_.End(interval, on);
    now_.counts = false;
  } else {
    launch(on);
  }
  const Ticket ticket = queues_.Launched(stream);
  for (Block* b : reads) queues_.Note(b->uses, ticket, false);
  for (Block* b : writes) queues_.Note(b->uses, ticket, true);
}

void DeviceRank::RunKernels(const std::string& name, const std::vector<Block*>& reads,
                            const std::vector<Block*>& writes, std::function<void(Stream)> launch) {
  const std::vector<Access> accesses = AccessesOf(reads, writes);
  Enqueue(plan::Stream::kCompute, reads, writes,
          [&](Stream stream) { calls_.Run(name, stream, accesses, std::move(launch)); });
}

void DeviceRank::MultiplyOn(const std::string& name, const Matmul& matmul, const std::vector<Block*>& reads,
                            Block* result) {
  const std::vector<Access> accesses = AccessesOf(reads, {result});
  Matmul m = matmul;
  m.arithmetic = run_.arithmetic;
  Enqueue(plan::Stream::kCompute, reads, {result}, [&](Stream stream) { calls_.Multiply(name, m, accesses, stream); });
}

void DeviceRank::CopyOn(Block* to, Block* from, std::size_t bytes) {
  Enqueue(plan::Stream::kCompute, {from}, {to},
          [&](Stream stream) { calls_.Copy(to->As<void>(), from->As<void>(), bytes, stream); });
}

void DeviceRank::ZeroOn(Block* block) {
  Enqueue(plan::Stream::kCompute, {}, {block},
          [&](Stream stream) { calls_.Zero(block->As<void>(), block->Bytes(), stream); });
}

template <class From, class To>
void DeviceRank::CastOn(Index n, Block* from, Block* to) {
  const From* source = from->As<From>();
  To* result = to->As<To>();
  RunKernels("cast", {from}, {to}, [=](Stream s) { kernels::cuda::Cast<From, To>(s, n, source, result); });
}
template void DeviceRank::CastOn<float, float>(Index, Block*, Block*);
template void DeviceRank::CastOn<float, kernels::Bf16>(Index, Block*, Block*);
template void DeviceRank::CastOn<float, kernels::Fp16>(Index, Block*, Block*);
template void DeviceRank::CastOn<kernels::Bf16, float>(Index, Block*, Block*);
template void DeviceRank::CastOn<kernels::Fp16, float>(Index, Block*, Block*);

}  // namespace isochrone::executor::cuda
