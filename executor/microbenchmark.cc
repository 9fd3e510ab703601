#include "executor/microbenchmark.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <thread>

#include "base/error.h"
#include "executor/run.h"
#include "executor/thread_world.h"
#include "kernels/adamw.h"
#include "kernels/gemm.h"
#include "kernels/vector.h"
#include "plan/build.h"
#include "plan/layer_traffic.h"

namespace isochrone::executor {
namespace {

constexpr int kWarmups = 2, kRepeats = 9;
constexpr int kLayerSteps = 4;
constexpr std::size_t kOtherData = std::size_t{32} << 20;  // more than the caches hold: a step lies between two updates

plan::Sample SampleOf(std::vector<double> seconds) {
  std::sort(seconds.begin(), seconds.end());
  const std::size_t n = seconds.size();
  double middle = 0;
  for (std::size_t i = n / 4; i < n - n / 4; ++i) middle += seconds[i] / static_cast<double>(n - 2 * (n / 4));
  return {.seconds = middle, .spread = seconds[n * 3 / 4] - seconds[n / 4], .repeats = static_cast<int>(n)};
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

/// Ranks on threads of their own, and the clock that times them. By the time of day all of a plan's ranks do at once
/// what is measured, and share memory bandwidth, caches and power as in a step. In virtual time one works while others
/// wait.
struct Bench {
  const plan::Layout& layout;
  ClockKind clock;
  bool AllAtOnce() const { return clock == ClockKind::kWall; }
};

/// Ranks 0 … n − 1, as `rank` sees them.
Team TeamOf(int n, int rank) {
  Team team{.ranks = std::vector<int>(static_cast<std::size_t>(n)), .index = rank};
  std::iota(team.ranks.begin(), team.ranks.end(), 0);
  return team;
}

/// `body(communicator, clock, rank, round)` on `ranks` threads, repeated; the seconds that it returns on rank 0.
template <class Body>
plan::Sample Together(const Bench& bench, int ranks, Body body) {
  ThreadWorld world({});
  std::vector<double> seconds;
  std::vector<std::thread> threads;
  for (int rank = 0; rank < ranks; ++rank) {
    threads.emplace_back([&, rank] {
      Clock clock(bench.clock);
      const auto communicator = world.Join<float>(rank, clock);
      communicator->Begin();
      OtherWork other;
      for (int i = 0; i < kWarmups + kRepeats; ++i) {
        if (rank == 0 || bench.AllAtOnce()) other.Do();
        const double taken = body(*communicator, clock, rank, i);
        if (rank == 0 && i >= kWarmups) seconds.push_back(taken);
      }
      communicator->End();
    });
  }
  for (std::thread& t : threads) t.join();
  return SampleOf(std::move(seconds));
}

/// What a rank does for itself: `make()` prepares it on every rank, and what that returns is repeated.
template <class Make>
plan::Sample Apart(const Bench& bench, Make make) {
  const int ranks = bench.AllAtOnce() ? bench.layout.World() : 1;
  std::vector<decltype(make())> bodies;
  for (int rank = 0; rank < ranks; ++rank) bodies.push_back(make());
  return Together(bench, ranks, [&](Communicator<float>& communicator, Clock& clock, int rank, int) {
    float nothing = 0;
    const Slice<float> slice{&nothing, &nothing, 1};
    communicator.AllReduce(TeamOf(ranks, rank), {&slice, 1});  // so that all begin at once
    const double start = clock.Now();
    bodies[static_cast<std::size_t>(rank)]();
    return clock.Now() - start;
  });
}

plan::Sample MeasureCollective(const Bench& bench, const plan::Collective& c) {
  const int n = static_cast<int>(plan::RanksOf(bench.layout, c.group, 0).size());
  if (n == 1) return {.seconds = 0, .spread = 0, .repeats = 1};
  const int ranks = bench.AllAtOnce() ? bench.layout.World() : n;
  const Index count = std::max<Index>(n, static_cast<Index>(c.bytes.value / 4) / n * n);
  std::vector<std::vector<float>> in(static_cast<std::size_t>(ranks)), out(in);
  for (std::size_t r = 0; r < in.size(); ++r) {
    in[r].assign(static_cast<std::size_t>(count), 1);
    out[r].assign(static_cast<std::size_t>(count), 1);
  }
  return Together(bench, ranks, [&](Communicator<float>& communicator, Clock&, int rank, int) {
    Team team = TeamOf(n, rank);
    if (bench.AllAtOnce()) {
      team.ranks = plan::RanksOf(bench.layout, c.group, rank);
      team.index = static_cast<int>(std::find(team.ranks.begin(), team.ranks.end(), rank) - team.ranks.begin());
    }
    const auto r = static_cast<std::size_t>(rank);
    const Slice<float> slice{in[r].data(), out[r].data(), count};
    if (c.kind == plan::CollectiveKind::kAllGather) return communicator.AllGather(team, {&slice, 1}).worked;
    if (c.kind == plan::CollectiveKind::kReduceScatter) return communicator.ReduceScatter(team, {&slice, 1}).worked;
    return communicator.AllReduce(team, {&slice, 1}).worked;
  });
}

/// Both copies of a message: into the mailbox and out of it.
plan::Sample MeasureMessage(const Bench& bench, const plan::Message& m) {
  const Index count = static_cast<Index>(m.bytes.value / 4);
  std::vector<float> from(static_cast<std::size_t>(count), 1), to(from);
  return Together(bench, 2, [&](Communicator<float>& communicator, Clock&, int rank, int i) {
    const Tag there{false, 0, 0, i}, after{false, 0, 1, i}, back{true, 0, 0, i};
    float seconds = 0;
    if (rank == 1) {
      seconds = static_cast<float>(communicator.Send(0, there, from.data(), count).worked);
      communicator.Send(0, after, &seconds, 1);
      communicator.Receive(0, back, &seconds, 1);
      return 0.0;
    }
    const double received = communicator.Receive(1, there, to.data(), count).worked;
    communicator.Receive(1, after, &seconds, 1);
    communicator.Send(1, back, &seconds, 1);
    return received + static_cast<double>(seconds);
  });
}

plan::Sample MeasureUpdate(const Bench& bench, double parameters) {
  const auto n = static_cast<std::size_t>(parameters);
  return Apart(bench, [n] {
    return [n, gradient = std::vector<float>(n, 0.1f), value = std::vector<float>(n, 0.1f),
            first = std::vector<float>(n, 0), second = std::vector<float>(n, 0), step = Index{0}]() mutable {
      kernels::AdamW<float>(static_cast<Index>(n), ++step, {}, 1, gradient.data(), value.data(), first.data(),
                            second.data());
      std::memset(gradient.data(), 0, n * sizeof(float));
    };
  });
}

plan::Sample MeasureNorm(const Bench& bench, Bytes bytes) {
  return Apart(bench, [n = static_cast<std::size_t>(bytes.value / 4)] {
    return [gradient = std::vector<float>(n, 0.1f), sum = 0.0]() mutable {
      sum += kernels::SquaredNorm<float>(static_cast<Index>(gradient.size()), gradient.data());
    };
  });
}

/// Microbatches that a pipeline rank has in flight at its fullest, the mean over ranks.
int InFlight(const plan::Schedule& schedule) {
  double sum = 0;
  for (const double n : plan::PeakActivations(schedule)) sum += n / schedule.placement.chunks;
  return std::max(1, static_cast<int>(std::lround(sum / schedule.placement.ranks)));
}

/// The layers of one pipeline rank of a scenario, on as many ranks as it has, without a pipeline between them.
plan::Scenario LayersOf(plan::Scenario s, int microbatches) {
  plan::Strategy& y = s.strategy;
  const bool reduces = plan::ReducesEveryMicrobatch(y);
  const int stages = y.pipeline;
  y.pipeline = y.chunks_per_rank = 1;
  y.schedule = plan::ScheduleKind::k1f1b;
  y.first_stage_layers = y.last_stage_layers = 0;
  y.account_embedding_in_split = y.overlap_data = y.overlap_parameter_gather = false;
  if (!reduces) {
    y.optimizer_sharding = plan::Sharding::kNone;
    y.shard_group = 0;
    y.data *= stages;
  }
  if (s.model.pattern.empty() && !s.model.moe) s.model.layers = (s.model.layers + stages - 1) / stages;
  s.batch.sequences = s.batch.microbatch * y.data * microbatches;
  return s;
}

/// Forward passes until `in_flight` microbatches wait, then one backward pass and one forward pass in turn.
std::vector<plan::Task> SteadyOrder(int microbatches, int in_flight, bool split_backward) {
  std::vector<plan::Task> order;
  for (int i = 0; i < microbatches + in_flight; ++i) {
    const int back = i - in_flight;
    if (back >= 0 && split_backward) {
      order.push_back({.phase = plan::Phase::kBackwardInput, .microbatch = back});
      order.push_back({.phase = plan::Phase::kBackwardWeight, .microbatch = back});
    } else if (back >= 0) {
      order.push_back({.phase = plan::Phase::kBackward, .microbatch = back});
    }
    if (i < microbatches) order.push_back({.phase = plan::Phase::kForward, .microbatch = i});
  }
  return order;
}

/// Adds the ops of layers that a short run of them measured: as many ranks as in a step, each with as many weights and
/// microbatches in flight. In virtual time stages take turns; by the time of day all work at once.
void MeasureLayers(const plan::Scenario& whole, const plan::Schedule& schedule, bool split_backward, ClockKind clock,
                   plan::Samples& samples) {
  const int in_flight = std::min(InFlight(schedule), schedule.microbatches);
  const int microbatches =
      schedule.microbatches;  // as long as a step: a machine treats a burst better than lasting work
  const plan::Scenario scenario = LayersOf(whole, microbatches);
  plan::Plan plan = plan::BuildPlan(scenario);
  plan.schedule.order[0] = SteadyOrder(microbatches, in_flight, split_backward);
  RunOptions options;
  options.steps = kLayerSteps;
  options.clock = clock;
  options.take_turns = clock == ClockKind::kVirtual && schedule.placement.ranks > 1;
  options.tokens = RandomTokens(options.seed, scenario.model.vocabulary);
  const RunResult run = Run<float>(scenario, plan, options);
  std::map<std::string, std::pair<double, double>> sums;  // equal ops of several layers: seconds, count
  for (const OpMeasurement& m : run.operations) {
    const plan::LayerProgram& program = plan.programs[static_cast<std::size_t>(m.program_index)];
    const plan::Op& op = program.Ops(m.phase)[static_cast<std::size_t>(m.index)];
    auto& [seconds, count] = sums[plan::SignatureOf(plan.layout, m.phase, op)];
    seconds += m.count * m.seconds;
    count += m.count;
  }
  for (const auto& [signature, sum] : sums) {
    samples.by_signature.emplace(signature, plan::Sample{.seconds = sum.first / sum.second,
                                                         .spread = 0,
                                                         .repeats = static_cast<int>(sum.second * (kLayerSteps - 1))});
  }
}

bool HasPhase(const plan::Schedule& schedule, std::initializer_list<plan::Phase> phases) {
  for (const auto& order : schedule.order) {
    for (const plan::Task& task : order) {
      if (std::find(phases.begin(), phases.end(), task.phase) != phases.end()) return true;
    }
  }
  return false;
}

}  // namespace

void MeasureOps(const plan::Scenario& scenario, const plan::Plan& plan, ClockKind clock, plan::Samples& samples) {
  const Bench bench{plan.layout, clock};
  kernels::SetGemmThreads(1);
  const std::map<std::string, plan::PlanOp> ops = plan::OpsOf(plan);
  const bool layers = std::any_of(ops.begin(), ops.end(), [&](const auto& op) {
    return op.second.program != nullptr && !samples.by_signature.count(op.first);
  });
  if (layers && HasPhase(plan.schedule, {plan::Phase::kBackward, plan::Phase::kOverlapped}))
    MeasureLayers(scenario, plan.schedule, false, clock, samples);
  if (layers && HasPhase(plan.schedule, {plan::Phase::kBackwardInput}))
    MeasureLayers(scenario, plan.schedule, true, clock, samples);
  for (const auto& [signature, at] : ops) {
    if (at.program != nullptr || samples.by_signature.count(signature)) continue;
    plan::Sample& sample = samples.by_signature[signature];
    if (const auto* c = std::get_if<plan::Collective>(&at.op.kind)) {
      sample = MeasureCollective(bench, *c);
    } else if (const auto* m = std::get_if<plan::Message>(&at.op.kind)) {
      sample = MeasureMessage(bench, *m);
    } else if (const auto* u = std::get_if<plan::OptimizerUpdate>(&at.op.kind)) {
      sample = MeasureUpdate(bench, u->parameters);
    } else if (const auto* g = std::get_if<plan::GradientNorm>(&at.op.kind)) {
      sample = MeasureNorm(bench, g->bytes);
    } else {
      throw Error("op " + at.op.name + " of the step", "the CPU does not run it", "predict this scenario instead");
    }
  }
}

}  // namespace isochrone::executor
