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
                            const std::vector<Block*>& writes, std::function<void(Stream)> launch,
                            plan::Stream stream) {
  const std::vector<Access> accesses = AccessesOf(reads, writes);
  Enqueue(stream, reads, writes, [&](Stream on) { calls_.Run(name, on, accesses, std::move(launch)); });
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

void DeviceRank::Together(plan::Stream stream, const std::vector<DeviceParameter*>& parameters,
                          Block* (*which)(const DeviceParameter&),
                          const std::function<void(const DeviceParameter&, Block*, Stream)>& call) {
  if (parameters.empty()) return;
  std::vector<Block*> blocks;
  for (const DeviceParameter* p : parameters) blocks.push_back(which(*p));
  Enqueue(stream, {}, blocks, [&](Stream on) {
    HeldGroup together(calls_);
    for (std::size_t i = 0; i < blocks.size(); ++i) call(*parameters[i], blocks[i], on);
    together.End();
  });
}

template <class From, class To>
void DeviceRank::CastOn(Index n, Block* from, Block* to) {
  const From* source = from->As<From>();
  To* result = to->As<To>();
  RunKernels("cast", {from}, {to}, [=](Stream s) { kernels::cuda::Cast<From, To>(s, n, source, result); });
}
template <class T>
DeviceRank::Sums DeviceRank::SumsOf(const Operands& o, std::size_t i, Index numbers) {
  Sums sums{WideOf<T>(numbers), o.out.at(i), numbers};
  if (sums.wide) sums.block = sums.wide.get();
  if (o.fresh.at(i)) ZeroOn(sums.block);
  else if (sums.wide) CastOn<T, float>(numbers, o.out.at(i), sums.block);
  return sums;
}

template <class T>
void DeviceRank::RoundSums(const Operands& o, std::size_t i, const Sums& sums) {
  if (sums.wide) CastOn<float, T>(sums.numbers, sums.block, o.out.at(i));
}

template <class T>
void DeviceRank::CopyColumns(Index rows, Index columns, const Columns& from, const Columns& to) {
  const auto bytes = [](Index numbers) { return static_cast<std::size_t>(numbers) * sizeof(T); };
  const T* source = from.block->As<T>() + from.at;
  T* result = to.block->As<T>() + to.at;
  Enqueue(plan::Stream::kCompute, {from.block}, {to.block}, [&](Stream stream) {
    if (rows == 1) calls_.Copy(result, source, bytes(columns), stream);
    else calls_.CopyRows(result, bytes(to.pitch), source, bytes(from.pitch), bytes(columns), rows, stream);
  });
}

#define ISO_LAUNCH_OPS(T)                                                               \
  template DeviceRank::Sums DeviceRank::SumsOf<T>(const Operands&, std::size_t, Index); \
  template void DeviceRank::RoundSums<T>(const Operands&, std::size_t, const Sums&);    \
  template void DeviceRank::CopyColumns<T>(Index, Index, const Columns&, const Columns&);
ISO_LAUNCH_OPS(float)
ISO_LAUNCH_OPS(kernels::Bf16)
ISO_LAUNCH_OPS(kernels::Fp16)
template void DeviceRank::CastOn<float, float>(Index, Block*, Block*);
template void DeviceRank::CastOn<float, kernels::Bf16>(Index, Block*, Block*);
template void DeviceRank::CastOn<float, kernels::Fp16>(Index, Block*, Block*);
template void DeviceRank::CastOn<kernels::Bf16, float>(Index, Block*, Block*);
template void DeviceRank::CastOn<kernels::Fp16, float>(Index, Block*, Block*);

}  // namespace isochrone::executor::cuda
