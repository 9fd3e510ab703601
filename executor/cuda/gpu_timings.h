#pragma once

#include <string>
#include <utility>
#include <vector>

#include "executor/cuda/calls.h"
#include "plan/op.h"

namespace isochrone::executor::cuda {

/// One kernel and its time: a row of a table of kernels. Zeros are columns that do not apply.
struct KernelTiming {
  std::string op;  // "gemm", "elementwise", …: the names that costmodel/calibrate/samples.h lists
  bool backward = false;
  plan::Dtype dtype = plan::Dtype::kFp32;
  Index batch = 0, m = 0, n = 0, k = 0;
  Index heads = 0, kv_heads = 0, queries = 0, keys = 0, head_dim = 0;
  bool causal = false;
  double bytes = 0;
  double seconds = 0, spread = 0;  // median, and the distance between the quartiles
};

/// One collective over `group` GPUs of one machine; `bytes` as plan::Collective has them.
struct CollectiveTiming {
  plan::CollectiveKind kind = plan::CollectiveKind::kAllReduce;
  bool is_message = false;  // one GPU to another instead
  int group = 2;
  double bytes = 0;
  double seconds = 0, spread = 0;
};

/// How many times as long products and all-reduces take while both run.
struct OverlapTiming {
  int group = 2;
  double bytes = 0;  // of each all-reduce
  double compute = 1, communication = 1;
};

/// What was measured on the GPUs of one machine; kernels on the first of them.
struct GpuTimings {
  DeviceInfo device;
  int gpus = 1;
  double launch_s = 0;  // from one smallest kernel to the next
  std::vector<KernelTiming> kernels;
  std::vector<CollectiveTiming> collectives;
  std::vector<OverlapTiming> overlaps;
  std::vector<std::pair<std::string, DeviceState>> states;  // of the first GPU at work: on what
};

/// The kernels as a table that ReadSamples of costmodel/calibrate reads; device, clocks, date and command are its first
/// lines.
std::string KernelTable(const GpuTimings& timings, const std::string& date, const std::string& command);
/// The collectives as a table that ReadCollectiveTable reads, with the same first lines.
std::string CollectiveTable(const GpuTimings& timings, const std::string& date, const std::string& command);
/// "1,755 MHz, memory 2,619 MHz, 61 C, 640 W, slowed by software power cap", or "not known".
std::string Text(const DeviceState& state);

}  // namespace isochrone::executor::cuda
