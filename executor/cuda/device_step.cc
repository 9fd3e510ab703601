// What surrounds a rank's tasks: gradients are reduced, the norm taken, parameters updated and gathered. The host
// reads loss and norm once, when all of it is launched.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "executor/cuda/device_rank.h"
#include "kernels/cuda/launch.h"

namespace isochrone::executor::cuda {
namespace {

namespace on_device = kernels::cuda;

}  // namespace

void DeviceRank::Launch(int step) {
  step_ = step;
  launched_scale_ = loss_scale_.Value();
  is_timed_ = true;
  state_.StartStep();
  StepRecord record;
  record.start = clock_.Now();
  records_.push_back(record);
  timings_.StartStep(queues_.StreamOf(plan::Stream::kCompute));
  now_ = {.kind = Timings::What::Kind::kStepOp, .name = "start"};
  ZeroOn(loss_.get());
  ZeroOn(squared_norm_.get());
  WriteText();
  const auto stage = static_cast<std::size_t>(at_.pp);
  RunSide(plan::Anchor::kStepStart);
  for (const plan::Op& op : plan_.prologue[stage]) RunStepOp(op, -1, 0, 1);
  const std::vector<plan::Task>& order = plan_.schedule.order[stage];
  for (const auto& launch : run_.launches[stage]) {
    if (const auto* group = std::get_if<MessageGroup>(&launch)) {
      Exchange(*group);
      continue;
    }
    const int task = std::get<int>(launch);
    const Stream compute = queues_.StreamOf(plan::Stream::kCompute);
    const std::size_t interval = timings_.Begin(
        {.kind = Timings::What::Kind::kTask, .name = {}, .task = order[static_cast<std::size_t>(task)]}, compute);
    walk_.RunTask(order[static_cast<std::size_t>(task)]);
    timings_.End(interval, compute);
    RunSide(task);
  }
  AddCopies();
  AddTiedTables();
  for (const plan::Op& op : plan_.epilogue[stage]) RunStepOp(op, -1, 0, 1);
  doing_ = "results of the step";
  now_ = {.kind = Timings::What::Kind::kStepOp, .name = "results"};
  Enqueue(plan::Stream::kCopy, {loss_.get(), squared_norm_.get()}, {}, [&](Stream stream) {
    calls_.Copy(host_.As<double>(), loss_->As<void>(), sizeof(double), stream);
    calls_.Copy(host_.As<double>() + 1, squared_norm_->As<void>(), sizeof(double), stream);
  });
  is_timed_ = false;
}

void DeviceRank::Collect() {
  queues_.Synchronize();
  for (const auto& [ranks, comm] : comms_) calls_.CheckComm(*comm);
  double results[2];
  std::memcpy(results, host_.As<double>(), sizeof results);
  StepRecord& record = records_.back();
  record.end = clock_.Now();
  record.loss = results[0];
  record.gradient_norm = std::sqrt(results[1]) / launched_scale_;
  timings_.Read(rank_, record);
  if (!std::isfinite(record.loss)) {
    throw Error(Doing(), "the loss is not a finite number",
                "lower the learning rate or clip gradients; --device cpu names the op that wrote it");
  }
  if (!loss_scale_.Note(record.gradient_norm)) {
    throw Error(Doing(), "the norm of the gradients is not a finite number",
                "lower the learning rate or clip gradients; --device cpu names the op that wrote it");
  }
}

/// Side tasks go on their streams where they are anchored, behind what made their data.
void DeviceRank::RunSide(int after_task) {
  std::vector<const plan::SideTask*> now;
  for (const plan::SideTask& side : plan_.side) {
    if (side.rank == at_.pp && side.after.task == after_task) now.push_back(&side);
  }
  if (now.empty()) return;
  const std::vector<plan::Task>& order = plan_.schedule.order[static_cast<std::size_t>(at_.pp)];
  if (after_task == plan::Anchor::kStepStart) {
    if (step_ == 0) return;  // first parameters are whole
    for (const plan::SideTask* side : now)
      RunStepOp(side->op, order[static_cast<std::size_t>(side->before.task)].chunk, 0, 1);
    return;
  }
  const plan::Task& task = order[static_cast<std::size_t>(after_task)];
  const int chunk = task.phase == plan::Phase::kOverlapped ? task.chunk_b : task.chunk;
  std::map<std::string, int> parts, part;
  for (const plan::SideTask* side : now) ++parts[side->op.name];
  for (const plan::SideTask* side : now) RunStepOp(side->op, chunk, part[side->op.name]++, parts[side->op.name]);
}

void DeviceRank::RunStepOp(const plan::Op& op, int chunk, int part, int parts) {
  doing_ = "op " + op.name + " of the step";
  now_ = {.kind = Timings::What::Kind::kStepOp, .name = op.name};
  const std::vector<DeviceParameter*> all = chunk < 0 ? walk_.Parameters() : walk_.ParametersOf(chunk);
  const auto some = [&](auto which) {
    std::vector<DeviceParameter*> chosen;
    std::copy_if(all.begin(), all.end(), std::back_inserter(chosen), which);
    return chosen;
  };
  const auto* collective = std::get_if<plan::Collective>(&op.kind);
  const bool of_experts = collective != nullptr && collective->group == plan::Group::kExpertData;
  const auto kind = [&](const DeviceParameter* p) { return p->shape.expert == of_experts; };
  if (op.name == "gradients" || op.name == "gradient_shards" || op.name == "expert_gradients") {
    Reduce(op, Bucket(some(kind), part, parts));
  } else if (op.name == "parameters" || op.name == "expert_parameters") {
    if (scenario_.strategy.optimizer_sharding == plan::Sharding::kZero3) state_.FetchAhead(of_experts);
    else Gather(some(kind));
  } else if (op.name == "norm_gradients") {
    AllReduceGradients(CommOf(plan::Group::kTensor), some([](auto* p) { return p->shape.partial_over_tensor; }),
                       op.stream);
  } else if (op.name == "tied_embedding_gradient") {
    const std::vector<DeviceParameter*> tables = some([](auto* p) { return p->shape.tied; });
    if (tables.size() == 1) AllReduceGradients(CommOf(plan::Group::kEmbedding), tables, op.stream);
  } else if (op.name == "twin_gradients") {
    // done before the epilogue, whole: see AddCopies
  } else if (op.name == "gradient_norm") {
    LocalNorm();
  } else if (op.name == "gradient_norm_reduce") {
    double* sum = squared_norm_->As<double>();
    Enqueue(op.stream, {}, {squared_norm_.get()}, [&](Stream stream) {
      calls_.AllReduce(*CommOf(plan::Group::kWorld), sum, sum, 1, Format::kDouble, stream);
    });
  } else if (op.name == "optimizer") {
    Update();
  } else {
    throw Error("op " + op.name + " of the step", "the CUDA executor does not run it", "run it with --device cpu");
  }
}

/// Gradients over the ranks that hold copies of the parameters. Where every layer has reduced its own (ZeRO-2, 3) there
/// is nothing left to do.
void DeviceRank::Reduce(const plan::Op& op, const std::vector<DeviceParameter*>& parameters) {
  const auto& c = std::get<plan::Collective>(op.kind);
  const Comm* comm = CommOf(c.group);
  std::vector<DeviceParameter*> whole;
  std::copy_if(parameters.begin(), parameters.end(), std::back_inserter(whole),
               [](const DeviceParameter* p) { return !p->gradient_share; });
  if (comm == nullptr) return;
  Together(
      plan::Stream::kData, whole, [](const DeviceParameter& p) { return p.gradient.get(); },
      [&](const DeviceParameter& p, Block* block, Stream stream) {
        const Parameter<float>& s = p.shape;
        float *all = block->As<float>(), *owned = all + s.first_owned;
        if (op.name == "gradient_shards") calls_.AllReduce(*comm, owned, owned, s.owned, Format::kFloat, stream);
        else if (c.kind == plan::CollectiveKind::kReduceScatter)
          calls_.ReduceScatter(*comm, all, owned, s.padded, Format::kFloat, stream);
        else calls_.AllReduce(*comm, all, all, s.padded, Format::kFloat, stream);
      });
}

/// Updated parameters, whole again on every rank. All of one kind.
void DeviceRank::Gather(const std::vector<DeviceParameter*>& parameters) {
  if (parameters.empty()) return;
  const Comm* comm = CommOf(parameters.front()->shape.expert ? plan::Group::kExpertData : plan::Group::kShard);
  std::vector<DeviceParameter*> cut;
  for (DeviceParameter* p : parameters) {
    if (p->shape.owned < p->shape.padded) cut.push_back(p);
  }
  Together(
      plan::Stream::kData, cut, [](const DeviceParameter& p) { return p.value.get(); },
      [&](const DeviceParameter& p, Block* block, Stream s) {
        char* whole = block->As<char>();
        calls_.AllGather(*comm, whole + static_cast<std::size_t>(p.shape.first_owned) * SizeOf(run_.format), whole,
                         p.shape.padded, run_.format, s);
      });
}

void DeviceRank::AllReduceGradients(const Comm* comm, const std::vector<DeviceParameter*>& parameters,
                                    plan::Stream stream) {
  if (comm == nullptr) return;
  Together(
      stream, parameters, [](const DeviceParameter& p) { return p.KeptGradient(); },
      [&](const DeviceParameter& p, Block* block, Stream s) {
        calls_.AllReduce(*comm, block->As<void>(), block->As<void>(), p.KeptGradients(), Format::kFloat, s);
      });
}

/// A bidirectional schedule holds every stage twice, on ranks r and p - 1 - r of a pipeline: the copies' gradients are
/// added up. Both ranks list the stage of the lower rank's first direction first.
void DeviceRank::AddCopies() {
  if (copies_ == nullptr) return;
  now_ = {.kind = Timings::What::Kind::kStepOp, .name = "copies"};
  std::vector<DeviceParameter*> parameters;
  for (const int chunk : copies_->index == 0 ? std::vector<int>{0, 1} : std::vector<int>{1, 0}) {
    for (DeviceParameter* p : walk_.ParametersOf(chunk)) parameters.push_back(p);
  }
  AllReduceGradients(copies_, parameters, plan::Stream::kData);
}

/// Where one rank holds both copies of a tied table, their gradients are added here.
void DeviceRank::AddTiedTables() {
  std::vector<DeviceParameter*> tables;
  for (DeviceParameter* p : walk_.Parameters()) {
    if (p->shape.tied) tables.push_back(p);
  }
  if (tables.size() != 2) return;
  now_ = {.kind = Timings::What::Kind::kStepOp, .name = "tied tables"};
  Block *a = tables[0]->KeptGradient(), *b = tables[1]->KeptGradient();
  float* sum = a->As<float>();
  const float* other = b->As<float>();
  const Index n = tables[0]->KeptGradients();
  RunKernels("tied tables", {b}, {a}, [=](Stream s) { on_device::Add<float>(s, n, sum, other, sum); });
  CopyOn(b, a, static_cast<std::size_t>(n) * sizeof(float));
}

/// Squares of this rank's gradients, each element counted once over all ranks.
void DeviceRank::LocalNorm() {
  std::vector<on_device::TensorPart> parts;
  std::vector<Block*> reads;
  for (const DeviceParameter* p : walk_.Parameters()) {
    const Parameter<float>& s = p->shape;
    if (!s.counts) continue;
    parts.push_back({p->OwnedGradient(), s.owned, 1 / CopiesOf(plan_, s)});
    reads.push_back(p->KeptGradient());
  }
  const Handle workspace = memory_.Allocate(
      plan::BufferKind::kWorkspace, static_cast<std::size_t>(on_device::SquaredNormWorkspace(parts)) * sizeof(double),
      "gradient norm");
  double *sum = squared_norm_->As<double>(), *partial = workspace->As<double>();
  RunKernels("gradient_norm", reads, {squared_norm_.get(), workspace.get()},
             [=](Stream s) { on_device::SquaredNorm(s, parts, sum, partial); });
}

void DeviceRank::Update() {
  const double* norm = squared_norm_->As<double>();
  float* factor = clip_->As<float>();
  const double most = options_.clip_norm, scale = launched_scale_;
  RunKernels("clip", {squared_norm_.get()}, {clip_.get()}, [=](Stream s) {  // norm and gradients are scaled alike
    on_device::ClipFactor(s, norm, most * scale, factor);
    if (scale != 1) on_device::Scale<float>(s, 1, static_cast<float>(1 / scale), factor);
  });
  std::vector<on_device::TensorUpdate> tensors;
  std::vector<Block*> reads = {clip_.get()}, writes;
  for (const DeviceParameter* p : walk_.Parameters()) {
    tensors.push_back({p->OwnedGradient(), p->OwnedMaster(), p->first_moment->As<float>(),
                       p->second_moment->As<float>(), p->shape.owned, p->shape.decays});
    reads.push_back(p->KeptGradient());
    for (Block* b : {p->MasterBlock(), p->first_moment.get(), p->second_moment.get()}) writes.push_back(b);
  }
  const kernels::AdamWOptions adam = options_.adam;
  const Index step = loss_scale_.Updates() + 1;
  RunKernels("optimizer", reads, writes, [=](Stream s) { on_device::AdamW(s, step, adam, factor, tensors); });
  WithFormat(run_.format, [&](auto zero) { RoundMasters<decltype(zero)>(); });
  if (step_ + 1 == options_.steps && options_.keep_tensors) return;
  for (const DeviceParameter* p : walk_.Parameters()) ZeroOn(p->KeptGradient());
}

/// What this rank owns of the values, from what was updated.
template <class T>
void DeviceRank::RoundMasters() {
  if constexpr (!std::is_same_v<T, float>) {
    const std::vector<DeviceParameter*> all = walk_.Parameters();
    std::vector<Block*> reads, writes;
    for (const DeviceParameter* p : all) {
      reads.push_back(p->master.get());
      writes.push_back(p->KeptValue());
    }
    RunKernels("rounded values", reads, writes, [=](Stream s) {
      for (const DeviceParameter* p : all)
        on_device::Cast<float, T>(s, p->shape.owned, p->master->As<float>(), p->OwnedValue<T>());
    });
  }
}

void DeviceRank::Finish() {
  const plan::Strategy& s = scenario_.strategy;
  if (!s.overlap_parameter_gather || s.optimizer_sharding == plan::Sharding::kZero3) return;
  for (const bool expert : {false, true}) {
    std::vector<DeviceParameter*> some;
    for (DeviceParameter* p : walk_.Parameters()) {
      if (p->shape.expert == expert) some.push_back(p);
    }
    Gather(some);
  }
}

}  // namespace isochrone::executor::cuda
