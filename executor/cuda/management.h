#pragma once

#include <string>

#include "executor/cuda/calls.h"

namespace isochrone::executor::cuda {

/// The driver's management library (NVML), opened where it is installed. Nothing depends on it: where it is absent, or
/// does not answer, states are not known.
///
/// Source  NVML API Reference Guide, "Device Queries" and "NvmlClocksEventReasons"; the few functions used are declared
///         in management.cc, since CUDA can be installed without NVML's header.
class Management {
 public:
  Management();
  ~Management();
  Management(const Management&) = delete;
  Management& operator=(const Management&) = delete;

  /// "580.65.06", or nothing.
  std::string Driver() const;
  /// Of the device at a PCI bus id as CUDA prints it.
  DeviceState StateOf(const char* bus) const;

 private:
  struct Functions;
  const Functions* functions_ = nullptr;
};

const Management& TheManagement();

/// What NVML's bits of throttle reasons say; idle clocks and clocks set by an application slow nothing down.
std::vector<std::string> ThrottleReasons(unsigned long long bits);

}  // namespace isochrone::executor::cuda
