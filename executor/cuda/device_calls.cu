#include "executor/cuda/device_calls.h"

#include <cuda_runtime.h>

#include <chrono>
#include <cstring>
#include <thread>
#include <vector>

#include "executor/cuda/libraries.h"
#include "executor/cuda/management.h"
#include "executor/cuda/products.h"
#include "kernels/cuda/error.h"

namespace isochrone::executor::cuda {
namespace {

using Clock = std::chrono::steady_clock;

ncclComm_t Of(const Comm& comm) { return static_cast<ncclComm_t>(comm.handle); }
std::size_t Size(Index count) { return static_cast<std::size_t>(count); }
ncclDataType_t TypeOf(Format format) {
  switch (format) {
    case Format::kBf16:
      return ncclBfloat16;
    case Format::kFp16:
      return ncclFloat16;
    case Format::kFloat:
      return ncclFloat32;
    case Format::kDouble:
      break;
  }
  return ncclFloat64;
}
/// "13.0" of 13000.
std::string VersionText(int version, int unit) {
  return std::to_string(version / unit) + "." + std::to_string(version % unit / (unit / 100));
}

class DeviceCalls final : public Calls {
 public:
  DeviceCalls(int device, int rank, Store& store, double timeout_s)
      : device_(device), rank_(rank), store_(store), timeout_s_(timeout_s) {
    ISO_CUDA(cudaSetDevice(device));
    products_ = std::make_unique<Products>();
  }

  DeviceInfo Describe() override {
    cudaDeviceProp properties{};
    int driver = 0, runtime = 0, nccl = 0;
    ISO_CUDA(cudaGetDeviceProperties(&properties, device_));
    ISO_CUDA(cudaDriverGetVersion(&driver));
    ISO_CUDA(cudaRuntimeGetVersion(&runtime));
    ISO_NCCL(TheNccl().GetVersion(&nccl));
    const std::string driver_cuda = "CUDA " + VersionText(driver, 1000), name = TheManagement().Driver();
    return {.name = properties.name,
            .driver = name.empty() ? driver_cuda : name + " (" + driver_cuda + ")",
            .runtime = "CUDA " + VersionText(runtime, 1000),
            .nccl = std::to_string(nccl / 10000) + "." + std::to_string(nccl / 100 % 100) + "." +
                    std::to_string(nccl % 100),
            .multiprocessors = properties.multiProcessorCount,
            .memory_bytes = static_cast<double>(properties.totalGlobalMem),
            .l2_bytes = static_cast<double>(properties.l2CacheSize)};
  }
  DeviceState State() override {
    char bus[32] = "";
    ISO_CUDA(cudaDeviceGetPCIBusId(bus, sizeof bus, device_));
    return TheManagement().StateOf(bus);
  }

  void* Malloc(std::size_t bytes) override {
    void* data = nullptr;
    ISO_CUDA(cudaMalloc(&data, bytes));
    return data;
  }
  // What is given back may be given back after an error that CUDA reports from every call: nothing more to say.
  void Free(void* data) override { cudaFree(data); }
  void* MallocHost(std::size_t bytes) override {
    void* data = nullptr;
    ISO_CUDA(cudaMallocHost(&data, bytes));
    return data;
  }
  void FreeHost(void* data) override { cudaFreeHost(data); }
  void Copy(void* to, const void* from, std::size_t bytes, Stream stream) override {
    ISO_CUDA(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, stream));
  }
  void CopyRows(void* to, std::size_t to_pitch, const void* from, std::size_t from_pitch, std::size_t row_bytes,
                Index rows, Stream stream) override {
    ISO_CUDA(cudaMemcpy2DAsync(to, to_pitch, from, from_pitch, row_bytes, Size(rows), cudaMemcpyDefault, stream));
  }
  void Zero(void* to, std::size_t bytes, Stream stream) override { ISO_CUDA(cudaMemsetAsync(to, 0, bytes, stream)); }

  Stream NewStream(bool urgent) override {
    int least = 0, most = 0;
    ISO_CUDA(cudaDeviceGetStreamPriorityRange(&least, &most));
    cudaStream_t stream = nullptr;
    ISO_CUDA(cudaStreamCreateWithPriority(&stream, cudaStreamNonBlocking, urgent ? most : least));
    return stream;
  }
  void DestroyStream(Stream stream) override { cudaStreamDestroy(stream); }
  Event NewEvent() override {
    cudaEvent_t event = nullptr;
    ISO_CUDA(cudaEventCreate(&event));
    return event;
  }
  void DestroyEvent(Event event) override { cudaEventDestroy(event); }
  void Record(Event event, Stream stream) override { ISO_CUDA(cudaEventRecord(event, stream)); }
  void Wait(Stream stream, Event event) override { ISO_CUDA(cudaStreamWaitEvent(stream, event)); }

  /// Looks at the communicators meanwhile: where a peer has died, the event never comes.
  void Synchronize(Event event) override {
    const Clock::time_point start = Clock::now();
    while (true) {
      const cudaError_t status = cudaEventQuery(event);
      if (status == cudaSuccess) return;
      if (status != cudaErrorNotReady) ISO_CUDA(status);
      for (const ncclComm_t comm : comms_) CheckAsync(comm);
      const double waited = std::chrono::duration<double>(Clock::now() - start).count();
      if (waited > timeout_s_)
        throw Error(Where() + ", waiting for the GPU", "nothing has ended for " + std::to_string(timeout_s_) + " s",
                    "look at the other ranks' errors; --timeout-s allows longer waits");
      if (waited > 1e-3) std::this_thread::sleep_for(std::chrono::microseconds(50));
    }
  }
  double Seconds(Event from, Event to) override {
    float milliseconds = 0;
    ISO_CUDA(cudaEventElapsedTime(&milliseconds, from, to));
    return 1e-3 * static_cast<double>(milliseconds);
  }

  void Run(const std::string&, Stream stream, std::span<const Access>, std::function<void(Stream)> launch) override {
    launch(stream);
  }
  void Multiply(const std::string&, const Matmul& m, std::span<const Access>, Stream stream) override {
    products_->Multiply(m, stream);
  }

  std::unique_ptr<Comm> NewComm(const std::string& name, const std::vector<int>& ranks, int rank) override {
    auto comm = std::make_unique<Comm>();
    comm->name = name;
    comm->ranks = ranks;
    while (comm->ranks[static_cast<std::size_t>(comm->index)] != rank) ++comm->index;
    ncclUniqueId id{};
    if (comm->index == 0) {
      ISO_NCCL(TheNccl().GetUniqueId(&id));
      store_.Set("communicator " + name, std::as_bytes(std::span(&id, 1)));
    } else {
      const std::vector<std::byte> bytes = store_.Get("communicator " + name);
      ISO_CHECK(bytes.size() == sizeof id);
      std::memcpy(&id, bytes.data(), sizeof id);
    }
    ncclComm_t handle = nullptr;
    ISO_NCCL(TheNccl().CommInitRank(&handle, comm->Size(), id, comm->index));
    comm->handle = handle;
    comms_.push_back(handle);
    return comm;
  }
  /// After an error a communicator may wait for its peers for ever: then it is cut.
  void DestroyComm(Comm& comm) override {
    std::erase(comms_, Of(comm));
    if (failed_) TheNccl().CommAbort(Of(comm));
    else TheNccl().CommDestroy(Of(comm));
  }
  void GroupStart() override { ISO_NCCL(TheNccl().GroupStart()); }
  void GroupEnd() override { ISO_NCCL(TheNccl().GroupEnd()); }
  void Send(const Comm& comm, const void* data, Index count, Format format, int to, Stream stream) override {
    ISO_NCCL(TheNccl().Send(data, Size(count), TypeOf(format), to, Of(comm), stream));
  }
  void Receive(const Comm& comm, void* data, Index count, Format format, int from, Stream stream) override {
    ISO_NCCL(TheNccl().Recv(data, Size(count), TypeOf(format), from, Of(comm), stream));
  }
  void AllReduce(const Comm& comm, const void* in, void* out, Index count, Format format, Stream stream) override {
    ISO_NCCL(TheNccl().AllReduce(in, out, Size(count), TypeOf(format), ncclSum, Of(comm), stream));
  }
  void ReduceScatter(const Comm& comm, const void* in, void* out, Index count, Format format, Stream stream) override {
    ISO_NCCL(TheNccl().ReduceScatter(in, out, Size(count / comm.Size()), TypeOf(format), ncclSum, Of(comm), stream));
  }
  void AllGather(const Comm& comm, const void* in, void* out, Index count, Format format, Stream stream) override {
    ISO_NCCL(TheNccl().AllGather(in, out, Size(count / comm.Size()), TypeOf(format), Of(comm), stream));
  }
  void CheckComm(const Comm& comm) override { CheckAsync(Of(comm)); }

 private:
  std::string Where() const { return "rank " + std::to_string(rank_); }
  void CheckAsync(ncclComm_t comm) {
    ncclResult_t status = ncclSuccess;
    ISO_NCCL(TheNccl().CommGetAsyncError(comm, &status));
    if (status == ncclSuccess || status == ncclInProgress) return;
    failed_ = true;
    throw Error(Where() + ", a communicator", TheNccl().GetErrorString(status), "look at the other ranks' errors");
  }

  int device_, rank_;
  Store& store_;
  double timeout_s_;
  bool failed_ = false;
  std::unique_ptr<Products> products_;
  std::vector<ncclComm_t> comms_;
};

}  // namespace

std::unique_ptr<Calls> OpenDevice(int device, int rank, Store& store, double timeout_s) {
  return std::make_unique<DeviceCalls>(device, rank, store, timeout_s);
}

}  // namespace isochrone::executor::cuda
