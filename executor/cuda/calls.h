#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "kernels/bf16.h"
#include "kernels/cuda/launch.h"
#include "kernels/fp16.h"

struct CUevent_st;  // CUDA's

namespace isochrone::executor::cuda {

using kernels::Index;
using kernels::cuda::Stream;
using Event = CUevent_st*;

/// A communicator of this rank: its members' world ranks, and where it stands among them.
struct Comm {
  std::string name;  // the same on every member
  std::vector<int> ranks;
  int index = 0;
  void* handle = nullptr;  // ncclComm_t, or the recorder's
  int Size() const { return static_cast<int>(ranks.size()); }
};

/// Memory that an operation reads or writes.
struct Access {
  const void* data = nullptr;
  std::size_t bytes = 0;
  bool writes = false;
};

/// How numbers lie in device memory.
enum class Format : std::uint8_t { kFloat, kBf16, kFp16, kDouble };
std::size_t SizeOf(Format format);
const char* NameOf(Format format);  // "fp32", "bf16", "fp16", "fp64"
template <class T>
inline constexpr Format kFormatOf = std::is_same_v<T, kernels::Bf16>   ? Format::kBf16
                                    : std::is_same_v<T, kernels::Fp16> ? Format::kFp16
                                    : std::is_same_v<T, double>        ? Format::kDouble
                                                                       : Format::kFloat;
/// Calls use(T()) with the type of numbers in `format`, which is not double.
template <class Use>
decltype(auto) WithFormat(Format format, Use use) {
  if (format == Format::kBf16) return use(kernels::Bf16());
  if (format == Format::kFp16) return use(kernels::Fp16());
  return use(float());
}

/// How a product of floats multiplies: with all bits, or rounded to TF32 (10 bits of fraction) first.
enum class Arithmetic : std::uint8_t { kFloat, kTf32 };

/// C = op(A) op(B) + beta C, row-major, summed in float; pitches as in kernels/gemm.h, in elements. `bias` (n), or
/// null, is added to every row. Only with beta 0.
struct Matmul {
  bool transpose_a = false, transpose_b = false;
  Index m = 0, n = 0, k = 0;
  const void* a = nullptr;
  Index lda = 0, stride_a = 0;
  const void* b = nullptr;
  Index ldb = 0, stride_b = 0;
  float beta = 0;
  void* c = nullptr;
  Index ldc = 0, stride_c = 0;
  Index batch = 1;
  const void* bias = nullptr;
  Format in = Format::kFloat, out = Format::kFloat;  // of A and B; of C and bias
  Arithmetic arithmetic = Arithmetic::kFloat;
};

/// The GPU, its driver and libraries.
struct DeviceInfo {
  std::string name, driver, runtime, nccl;
  int multiprocessors = 0;
  double memory_bytes = 0, l2_bytes = 0;
};
/// How fast the GPU runs now, where the driver's management library (NVML) says.
struct DeviceState {
  bool known = false;
  double clock_hz = 0, memory_clock_hz = 0, temperature_c = 0, power_w = 0;
  std::vector<std::string> slowed_by;  // NVML's throttle reasons but "idle": "power cap", "thermal", …
};

/// All that the executor asks of CUDA, cuBLAS and NCCL, for one rank with one GPU. Calls that take a stream return
/// before their work is done. Two forms: the libraries (device_calls.h), and a recorder that checks order, waits,
/// groups and lifetimes and can carry the work out on the CPU (recorder.h).
///
/// Throws  Error naming call, place and rank where a library refuses
class Calls {
 public:
  virtual ~Calls() = default;

  // the device
  virtual DeviceInfo Describe() = 0;
  virtual DeviceState State() = 0;

  // memory
  virtual void* Malloc(std::size_t bytes) = 0;
  virtual void Free(void* data) = 0;
  virtual void* MallocHost(std::size_t bytes) = 0;  // pinned
  virtual void FreeHost(void* data) = 0;
  virtual void Copy(void* to, const void* from, std::size_t bytes, Stream stream) = 0;  // host or device, either side
  /// `rows` rows of `row_bytes`, which start `to_pitch` and `from_pitch` bytes apart.
  virtual void CopyRows(void* to, std::size_t to_pitch, const void* from, std::size_t from_pitch, std::size_t row_bytes,
                        Index rows, Stream stream) = 0;
  virtual void Zero(void* to, std::size_t bytes, Stream stream) = 0;

  // order
  virtual Stream NewStream(bool urgent) = 0;
  virtual void DestroyStream(Stream stream) = 0;
  virtual Event NewEvent() = 0;
  virtual void DestroyEvent(Event event) = 0;
  virtual void Record(Event event, Stream stream) = 0;
  virtual void Wait(Stream stream, Event event) = 0;
  virtual void Synchronize(Event event) = 0;
  /// Seconds from one recorded event to another; both have been synchronised.
  virtual double Seconds(Event from, Event to) = 0;

  // work
  /// A launch of one or several kernels; `launch` is called with the stream, now or later.
  virtual void Run(const std::string& name, Stream stream, std::span<const Access> accesses,
                   std::function<void(Stream)> launch) = 0;
  virtual void Multiply(const std::string& name, const Matmul& matmul, std::span<const Access> accesses,
                        Stream stream) = 0;

  // communication; counts are of numbers in `format`
  virtual std::unique_ptr<Comm> NewComm(const std::string& name, const std::vector<int>& ranks, int rank) = 0;
  virtual void DestroyComm(Comm& comm) = 0;
  virtual void GroupStart() = 0;
  virtual void GroupEnd() = 0;
  virtual void Send(const Comm& comm, const void* data, Index count, Format format, int to, Stream stream) = 0;
  virtual void Receive(const Comm& comm, void* data, Index count, Format format, int from, Stream stream) = 0;
  virtual void AllReduce(const Comm& comm, const void* in, void* out, Index count, Format format, Stream stream) = 0;
  /// `count` numbers of the whole; this rank keeps count / n of the sum.
  virtual void ReduceScatter(const Comm& comm, const void* in, void* out, Index count, Format format,
                             Stream stream) = 0;
  /// `count` numbers of the whole; this rank gives count / n.
  virtual void AllGather(const Comm& comm, const void* in, void* out, Index count, Format format, Stream stream) = 0;
  /// Throws Error where a peer has died or the network has failed since the last call.
  virtual void CheckComm(const Comm& comm) = 0;
};

}  // namespace isochrone::executor::cuda
