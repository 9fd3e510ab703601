#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace isochrone::executor::cuda {

/// Where ranks leave small things for one another: ids of NCCL communicators, reports. A key is set once.
class Store {
 public:
  virtual ~Store() = default;
  virtual void Set(const std::string& key, std::span<const std::byte> value) = 0;
  /// Waits for the key. Throws Error naming it where it does not come in time.
  virtual std::vector<std::byte> Get(const std::string& key) = 0;
};

/// For ranks that are threads of this process.
std::unique_ptr<Store> MakeLocalStore(double timeout_s);

/// For ranks that are processes: rank 0 listens at `port` of `host`, all others (and rank 0 itself) call there. Ends
/// when its owner does; rank 0's waits until all have said goodbye, or the time is over.
///
/// Throws  Error naming address and cause where nobody listens in time, or the port is taken
std::unique_ptr<Store> MakeTcpStore(const std::string& host, int port, int rank, int world, double timeout_s);

}  // namespace isochrone::executor::cuda
