#include "executor/microbenchmark.h"

#include <algorithm>
#include <cstring>
#include <thread>

#include "base/error.h"
#include "executor/operands.h"
#include "executor/thread_world.h"
#include "kernels/adamw.h"
#include "kernels/gemm.h"
#include "kernels/rope.h"
#include "kernels/vector.h"

namespace isochrone::executor {
namespace {

constexpr int kWarmups = 2, kLeastRepeats = 11, kMostRepeats = 400, kCollectiveRepeats = 25;
constexpr double kLeastSeconds = 4e-3;
constexpr std::size_t kOtherData = std::size_t{2} << 20;  // more than the private caches of a core hold

plan::Sample SampleOf(std::vector<double> seconds) {
  std::sort(seconds.begin(), seconds.end());
  const std::size_t n = seconds.size();
  return {.seconds = seconds[n / 2], .spread = seconds[n * 3 / 4] - seconds[n / 4], .repeats = static_cast<int>(n)};
}

/// Leaves the caches as the rest of a layer leaves them: full of other data.
class OtherWork {
 public:
  void Do() {
    for (std::size_t i = 0; i < data_.size(); i += 16) data_[i] += 1;
  }

 private:
  std::vector<float> data_ = std::vector<float>(kOtherData / sizeof(float), 0);
};

template <class Body>
plan::Sample Repeat(Body body) {
  Clock clock(ClockKind::kVirtual);
  OtherWork other;
  for (int i = 0; i < kWarmups; ++i) body();
  std::vector<double> seconds;
  double sum = 0;
  while (static_cast<int>(seconds.size()) < kMostRepeats &&
         (static_cast<int>(seconds.size()) < kLeastRepeats || sum < kLeastSeconds)) {
    other.Do();
    const double start = clock.Now();
    body();
    seconds.push_back(clock.Now() - start);
    sum += seconds.back();
  }
  return SampleOf(std::move(seconds));
}

std::size_t BytesOf(const plan::Buffer& b) {
  const bool real = b.dtype != plan::Dtype::kInt32 && b.dtype != plan::Dtype::kMask;
  return static_cast<std::size_t>(b.Elements() * (real ? sizeof(float) : plan::SizeOf(b.dtype).value));
}

/// Values between 0.1 and 1, so that statistics are possible ones; small whole numbers for tokens.
void Fill(const plan::Buffer& b, void* data) {
  const auto n = static_cast<std::size_t>(b.Elements());
  if (b.dtype == plan::Dtype::kMask) return;
  for (std::size_t i = 0; i < n; ++i) {
    if (b.dtype == plan::Dtype::kInt32) {
      static_cast<std::int32_t*>(data)[i] = static_cast<std::int32_t>(i * 7 % 31);
    } else {
      static_cast<float*>(data)[i] = 0.1f + 0.9f * static_cast<float>(i * 2654435761u % 1024) / 1024;
    }
  }
}

OpSettings<float> SettingsOf(const plan::Scenario& s) {
  OpSettings<float> settings;
  settings.model = &s.model;
  settings.strategy = &s.strategy;
  settings.positions = Positions(s.model, s.strategy, 0);
  settings.token_weight = 1e-3;
  if (s.model.position == plan::PositionKind::kRotary) {
    const auto n = static_cast<std::size_t>(s.model.sequence * s.model.head_dim / 2);
    settings.cosine.resize(n);
    settings.sine.resize(n);
    kernels::RopeTable<float>(0, s.model.sequence, s.model.head_dim, 10000, settings.cosine.data(),
                              settings.sine.data());
  }
  return settings;
}

plan::Sample MeasureLayerOp(const OpSettings<float>& settings, const plan::Layout& layout,
                            const plan::LayerProgram& program, const plan::Op& op) {
  Memory memory;
  std::vector<Memory::Handle> inputs(program.buffers.size()), outputs(program.buffers.size());
  const auto made = [&](int b) {
    const plan::Buffer& buffer = program.buffers[static_cast<std::size_t>(b)];
    Memory::Handle block = memory.Allocate(plan::BufferKind::kWorkspace, BytesOf(buffer), buffer.name);
    Fill(buffer, block->As<char>());
    return block;
  };
  for (int b : op.in) inputs[static_cast<std::size_t>(b)] = made(b);
  for (int b : op.out) {  // what is added to stays; what is written comes from the pool each time
    if (program.buffers[static_cast<std::size_t>(b)].kind == plan::BufferKind::kGradient)
      inputs[static_cast<std::size_t>(b)] = made(b);
  }
  return Repeat([&] {
    Operands<float> o;
    o.op = &op;
    o.program = &program;
    o.settings = &settings;
    o.memory = &memory;
    o.rows.tensor_size = layout.tp;
    for (int b : op.in) o.in.push_back(inputs[static_cast<std::size_t>(b)]->As<char>());
    for (int b : op.out) {
      const auto i = static_cast<std::size_t>(b);
      const plan::Buffer& buffer = program.buffers[i];
      outputs[i] = inputs[i] ? inputs[i] : memory.Allocate(plan::BufferKind::kWorkspace, BytesOf(buffer), buffer.name);
      o.out.push_back(outputs[i]->As<char>());
    }
    Compute<float>(o);
    for (int b : op.out) outputs[static_cast<std::size_t>(b)].reset();
  });
}

/// `body(communicator, rank)` on `ranks` threads in virtual time, repeated; seconds of rank 0.
template <class Body>
plan::Sample Together(int ranks, Body body) {
  ThreadWorld world({});
  std::vector<double> seconds;
  std::vector<std::thread> threads;
  for (int rank = 0; rank < ranks; ++rank) {
    threads.emplace_back([&, rank] {
      Clock clock(ClockKind::kVirtual);
      const auto communicator = world.Join<float>(rank, clock);
      communicator->Begin();
      for (int i = 0; i < kWarmups + kCollectiveRepeats; ++i) {
        const double worked = body(*communicator, rank, i);
        if (rank == 0 && i >= kWarmups) seconds.push_back(worked);
      }
      communicator->End();
    });
  }
  for (std::thread& t : threads) t.join();
  return SampleOf(std::move(seconds));
}

plan::Sample MeasureCollective(const plan::Layout& layout, const plan::Op& op, const plan::Collective& c) {
  const int n = static_cast<int>(plan::RanksOf(layout, c.group, 0).size());
  if (n == 1) return {.seconds = 0, .spread = 0, .repeats = 1};
  // Statistics of the cross-entropy are gathered and merged by each rank.
  const bool merged = op.name == "loss_reduce";
  const Index part = static_cast<Index>(c.bytes.value / 4);
  const Index count = std::max<Index>(n, merged ? part * n : part / n * n);
  std::vector<std::vector<float>> in(static_cast<std::size_t>(n)), out(static_cast<std::size_t>(n));
  for (std::size_t r = 0; r < in.size(); ++r) {
    in[r].assign(static_cast<std::size_t>(count), 1);
    out[r].assign(static_cast<std::size_t>(count), 1);
  }
  return Together(n, [&](Communicator<float>& communicator, int rank, int) {
    Team team{.ranks = {}, .index = rank};
    for (int r = 0; r < n; ++r) team.ranks.push_back(r);
    const auto r = static_cast<std::size_t>(rank);
    const Slice<float> slice{in[r].data(), out[r].data(), count};
    if (merged || c.kind == plan::CollectiveKind::kAllGather) return communicator.AllGather(team, {&slice, 1}).worked;
    if (c.kind == plan::CollectiveKind::kReduceScatter) return communicator.ReduceScatter(team, {&slice, 1}).worked;
    return communicator.AllReduce(team, {&slice, 1}).worked;
  });
}

/// Both copies of a message: into the mailbox and out of it.
plan::Sample MeasureMessage(const plan::Message& m) {
  const Index count = static_cast<Index>(m.bytes.value / 4);
  std::vector<float> from(static_cast<std::size_t>(count), 1), to(from);
  double sent = 0;
  plan::Sample sample = Together(2, [&](Communicator<float>& communicator, int rank, int i) {
    const Tag there{false, 0, 0, i}, back{true, 0, 0, i};
    if (rank == 1) {
      sent = communicator.Send(0, there, from.data(), count).worked;
      float answer = 0;
      return communicator.Receive(0, back, &answer, 1).worked;
    }
    const double received = communicator.Receive(1, there, to.data(), count).worked;
    const double both = sent + received;
    const float answer = 0;
    communicator.Send(1, back, &answer, 1);
    return both;
  });
  return sample;
}

plan::Sample MeasureUpdate(double parameters) {
  const auto n = static_cast<std::size_t>(parameters);
  std::vector<float> gradient(n, 0.1f), value(n, 0.1f), first(n, 0), second(n, 0);
  Index step = 0;
  return Repeat([&] {
    kernels::AdamW<float>(static_cast<Index>(n), ++step, {}, 1, gradient.data(), value.data(), first.data(),
                          second.data());
    std::memset(gradient.data(), 0, n * sizeof(float));
  });
}

plan::Sample MeasureNorm(Bytes bytes) {
  const std::vector<float> gradient(static_cast<std::size_t>(bytes.value / 4), 0.1f);
  double sum = 0;
  return Repeat([&] { sum += kernels::SquaredNorm<float>(static_cast<Index>(gradient.size()), gradient.data()); });
}

}  // namespace

void MeasureOps(const plan::Scenario& scenario, const plan::Plan& plan, plan::Samples& samples) {
  kernels::SetGemmThreads(1);
  const OpSettings<float> settings = SettingsOf(scenario);
  for (const auto& [signature, at] : plan::OpsOf(plan)) {
    if (samples.by_signature.count(signature)) continue;
    plan::Sample& sample = samples.by_signature[signature];
    if (const auto* c = std::get_if<plan::Collective>(&at.op.kind)) {
      sample = MeasureCollective(plan.layout, at.op, *c);
    } else if (const auto* m = std::get_if<plan::Message>(&at.op.kind)) {
      sample = MeasureMessage(*m);
    } else if (const auto* u = std::get_if<plan::OptimizerUpdate>(&at.op.kind)) {
      sample = MeasureUpdate(u->parameters);
    } else if (const auto* g = std::get_if<plan::GradientNorm>(&at.op.kind)) {
      sample = MeasureNorm(g->bytes);
    } else {
      ISO_CHECK_NOTE(at.program != nullptr, signature);
      sample = MeasureLayerOp(settings, plan.layout, *at.program, at.op);
    }
  }
}

}  // namespace isochrone::executor
