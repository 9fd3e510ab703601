#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "kernels/cuda/launch.h"

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

/// How a product multiplies: in float with all bits, or rounded to TF32 (10 bits of fraction) first.
enum class Arithmetic { kFloat, kTf32 };

/// C = op(A) op(B) + beta C, row-major, float; pitches as in kernels/gemm.h. `bias` (n), or null, is added to every
/// row. Only with beta 0.
struct Matmul {
  bool transpose_a = false, transpose_b = false;
  Index m = 0, n = 0, k = 0;
  const float* a = nullptr;
  Index lda = 0, stride_a = 0;
  const float* b = nullptr;
  Index ldb = 0, stride_b = 0;
  float beta = 0;
  float* c = nullptr;
  Index ldc = 0, stride_c = 0;
  Index batch = 1;
  const float* bias = nullptr;
  Arithmetic arithmetic = Arithmetic::kFloat;
};

/// All that the executor asks of CUDA, cuBLAS and NCCL, for one rank with one GPU. Calls that take a stream return
/// before their work is done. Two forms: the libraries (device_calls.h), and a recorder that checks order, waits,
/// groups and lifetimes and can carry the work out on the CPU (recorder.h).
///
/// Throws  Error naming call, place and rank where a library refuses
class Calls {
 public:
  virtual ~Calls() = default;

  // memory
  virtual void* Malloc(std::size_t bytes) = 0;
  virtual void Free(void* data) = 0;
  virtual void* MallocHost(std::size_t bytes) = 0;  // pinned
  virtual void FreeHost(void* data) = 0;
  virtual void Copy(void* to, const void* from, std::size_t bytes, Stream stream) = 0;  // host or device, either side
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

  // communication; counts are of floats
  virtual std::unique_ptr<Comm> NewComm(const std::string& name, const std::vector<int>& ranks, int rank) = 0;
  virtual void DestroyComm(Comm& comm) = 0;
  virtual void GroupStart() = 0;
  virtual void GroupEnd() = 0;
  virtual void Send(const Comm& comm, const float* data, Index count, int to, Stream stream) = 0;
  virtual void Receive(const Comm& comm, float* data, Index count, int from, Stream stream) = 0;
  virtual void AllReduce(const Comm& comm, const float* in, float* out, Index count, Stream stream) = 0;
  virtual void AllReduce(const Comm& comm, const double* in, double* out, Index count, Stream stream) = 0;
  /// `count` elements of the whole; this rank keeps count / n of the sum.
  virtual void ReduceScatter(const Comm& comm, const float* in, float* out, Index count, Stream stream) = 0;
  /// `count` elements of the whole; this rank gives count / n.
  virtual void AllGather(const Comm& comm, const float* in, float* out, Index count, Stream stream) = 0;
  /// Throws Error where a peer has died or the network has failed since the last call.
  virtual void CheckComm(const Comm& comm) = 0;
};

}  // namespace isochrone::executor::cuda
