// How a GPU moves parameters and gradients that are whole only while a layer works (executor/layer_state.h): on the
// stream of data-parallel communication, beside the layer that computes.
#include "executor/cuda/device_rank.h"
#include "kernels/cuda/launch.h"

namespace isochrone::executor::cuda {

namespace on_device = kernels::cuda;

/// A layer's gradients live until the next layer is left, so that their reduction runs beside its pass: the memory that
/// the next layer takes for its own is not what still travels.
void DeviceRank::LeaveLayer(const Layer& layer, plan::Phase phase) {
  const std::vector<Handle> before = std::exchange(reduced_, {});
  state_.Leave(layer, phase);
}

/// What does not overlap starts when the layer has computed.
void DeviceRank::MoveState(const Layer& layer, const plan::Op& op) {
  if (!op.after.empty()) queues_.Follow(op.stream, plan::Stream::kCompute);
  state_.Move(layer, op);
}

void DeviceRank::TakeValue(DeviceParameter& p) {
  p.value = memory_.Allocate(plan::BufferKind::kCommunication,
                             static_cast<std::size_t>(p.shape.padded) * SizeOf(run_.format), p.shape.key);
}

void DeviceRank::GatherValues(const std::vector<DeviceParameter*>& parameters, plan::Group group) {
  const Comm& comm = *CommOf(group);
  std::vector<Block*> shares, wholes;
  for (const DeviceParameter* p : parameters) {
    shares.push_back(p->value_share.get());
    wholes.push_back(p->value.get());
  }
  Enqueue(plan::Stream::kData, shares, wholes, [&](Stream stream) {
    HeldGroup together(calls_);
    for (const DeviceParameter* p : parameters) {
      calls_.AllGather(comm, p->value_share->As<void>(), p->value->As<void>(), p->shape.padded, run_.format, stream);
    }
    together.End();
  });
}

void DeviceRank::TakeGradient(DeviceParameter& p) {
  p.gradient = memory_.Allocate(plan::BufferKind::kCommunication,
                                static_cast<std::size_t>(p.shape.padded) * sizeof(float), p.shape.key);
  ClearGradient(p);
}

void DeviceRank::ReduceGradients(const std::vector<DeviceParameter*>& parameters, plan::Group group, bool of_shares) {
  const Comm* comm = CommOf(group);
  if (comm == nullptr) return;
  Together(
      plan::Stream::kData, parameters, [](const DeviceParameter& p) { return p.gradient.get(); },
      [&](const DeviceParameter& p, Block* block, Stream stream) {
        float *whole = block->As<float>(), *mine = whole + p.shape.first_owned;
        if (of_shares) calls_.AllReduce(*comm, mine, mine, p.shape.owned, Format::kFloat, stream);
        else calls_.ReduceScatter(*comm, whole, mine, p.shape.padded, Format::kFloat, stream);
      });
}

void DeviceRank::KeepGradient(DeviceParameter& p) {
  const Index n = p.shape.owned;
  const float* sum = p.gradient->As<float>() + p.shape.first_owned;
  float* share = p.gradient_share->As<float>();
  RunKernels(
      "gradient share", {p.gradient.get()}, {p.gradient_share.get()},
      [=](Stream s) { on_device::Add<float>(s, n, share, sum, share); }, plan::Stream::kData);
}

}  // namespace isochrone::executor::cuda
