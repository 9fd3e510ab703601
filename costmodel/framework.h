#pragma once

#include <set>
#include <string>
#include <vector>

#include "base/units.h"
#include "costmodel/attention.h"
#include "costmodel/profile.h"
#include "plan/scenario.h"

namespace isochrone::costmodel {

/// What a framework adds to its kernels: at most four fitted constants, read from profiles/frameworks/NAME.json of the
/// catalogue, which lists the rows that they were fitted to. The sustained clock belongs to the hardware: whole steps
/// run for minutes at the power limit, short benchmarks do not; profiles/sustained/GPU.json or ARCHITECTURE.json.
struct FrameworkProfile {
  std::string name;
  double sustained_clock = 1;  // of the clock that short benchmarks ran at, on GEMM and attention rates
  Source sustained_source;
  double kernel_time = 1;           // of the time of the same kernels alone: gaps, waits and contention between them
  double tensor_communication = 1;  // of the time of the same collectives alone
  double attention_time = 1;        // of the time of the same fused attention kernels
  Seconds launch;                   // least time between two kernels: the host enqueues no faster
  Seconds gather_rank;              // host time of a gather or reduction of sharded state, for each rank of its group
  Seconds message;                  // host time of a pipeline message that compute waits for
  Seconds batch;                    // host time, at the start of a forward pass, for which the GPU has nothing to do
  Seconds step;                     // host time per step: launch of the step, data loading, logging
  FlashGeneration flash = FlashGeneration::kBest;
  double spread = 0.2;  // relative half-width that holds 80 % of measured steps
  // `spread` where none is stated: of models with experts, whose load a run does not print; of dense models with
  // unfused attention, around which PyTorch runs kernels of its own.
  double expert_spread = 0.2, unfused_spread = 0.2;
  std::string spread_source;
  std::vector<std::string> fitted_rows;
  Source source;
};

/// The profile of `framework` on `gpu`. Megatron-DeepSpeed without ZeRO runs Megatron's own engine of its time, and so
/// has the profile of megatron_lm_2021. Throws Error with the known names.
FrameworkProfile FrameworkOf(const std::string& framework, const plan::Gpu& gpu, bool compiled,
                             plan::Sharding sharding);

/// Whether layers are Megatron-LM's own, as until 2023: Megatron-Core is taken to run Transformer Engine's, and the
/// training loop of its time, where attention is fused.
bool RunsMegatronLayers(const plan::Strategy& strategy);

/// One constant of a framework profile, by the name and in the unit that its file has. A file states those that differ
/// from neutral, four at most.
struct FrameworkConstant {
  std::string name;
  double neutral, least, most;
  double (*get)(const FrameworkProfile&);
  void (*set)(FrameworkProfile&, double);
};
const std::vector<FrameworkConstant>& FrameworkConstants();

/// The document of `profile` as profiles/frameworks holds it, which FrameworkOf reads.
std::string Print(const FrameworkProfile& profile);

/// Ids of the published rows that any framework profile or sustained clock of the catalogue was fitted to.
std::set<std::string> FittedRows();

/// `profile` with everything that follows the clock of the multiprocessors slowed to `clock` of it: tensor-core rates
/// and the caches that feed them. Memory keeps its own clock.
EfficiencyProfile Sustained(EfficiencyProfile profile, double clock);

}  // namespace isochrone::costmodel
