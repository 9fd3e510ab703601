#include "executor/cuda/management.h"

#include <dlfcn.h>

#include <type_traits>
#include <utility>

namespace isochrone::executor::cuda {
namespace {

constexpr int kSuccess = 0, kClockOfMultiprocessors = 1, kClockOfMemory = 2, kSensorOfGpu = 0;
using Device = void*;

}  // namespace

struct Management::Functions {
  int (*init)() = nullptr;
  int (*shutdown)() = nullptr;
  int (*driver)(char*, unsigned) = nullptr;
  int (*device)(const char*, Device*) = nullptr;
  int (*clock)(Device, int, unsigned*) = nullptr;
  int (*temperature)(Device, int, unsigned*) = nullptr;
  int (*power)(Device, unsigned*) = nullptr;
  int (*reasons)(Device, unsigned long long*) = nullptr;

  /// Whether all are there.
  bool Find(void* library) {
    const auto find = [&](auto& to, const char* name) {
      to = reinterpret_cast<std::remove_reference_t<decltype(to)>>(dlsym(library, name));
      return to != nullptr;
    };
    return find(init, "nvmlInit_v2") && find(shutdown, "nvmlShutdown") && find(driver, "nvmlSystemGetDriverVersion") &&
           find(device, "nvmlDeviceGetHandleByPciBusId_v2") && find(clock, "nvmlDeviceGetClockInfo") &&
           find(temperature, "nvmlDeviceGetTemperature") && find(power, "nvmlDeviceGetPowerUsage") &&
           find(reasons, "nvmlDeviceGetCurrentClocksThrottleReasons");
  }
};

Management::Management() {
  void* library = dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return;
  static Functions functions;
  if (functions.Find(library) && functions.init() == kSuccess) functions_ = &functions;
}

Management::~Management() {
  if (functions_ != nullptr) functions_->shutdown();
}

std::string Management::Driver() const {
  char text[96] = "";
  return functions_ != nullptr && functions_->driver(text, sizeof text) == kSuccess ? text : "";
}

DeviceState Management::StateOf(const char* bus) const {
  DeviceState state;
  Device device = nullptr;
  if (functions_ == nullptr || functions_->device(bus, &device) != kSuccess) return state;
  unsigned clock = 0, memory_clock = 0, temperature = 0, milliwatts = 0;
  unsigned long long reasons = 0;
  state.known = functions_->clock(device, kClockOfMultiprocessors, &clock) == kSuccess &&
                functions_->clock(device, kClockOfMemory, &memory_clock) == kSuccess &&
                functions_->temperature(device, kSensorOfGpu, &temperature) == kSuccess &&
                functions_->power(device, &milliwatts) == kSuccess && functions_->reasons(device, &reasons) == kSuccess;
  if (!state.known) return state;
  state.clock_hz = 1e6 * clock;
  state.memory_clock_hz = 1e6 * memory_clock;
  state.temperature_c = temperature;
  state.power_w = 1e-3 * milliwatts;
  state.slowed_by = ThrottleReasons(reasons);
  return state;
}

const Management& TheManagement() {
  static const Management management;
  return management;
}

std::vector<std::string> ThrottleReasons(unsigned long long bits) {
  static constexpr std::pair<unsigned long long, const char*> kReasons[] = {
      {0x4, "software power cap"},     {0x8, "hardware slowdown"}, {0x10, "sync boost"},
      {0x20, "software thermal"},      {0x40, "hardware thermal"}, {0x80, "hardware power brake"},
      {0x100, "display clock setting"}};
  std::vector<std::string> reasons;
  for (const auto& [bit, name] : kReasons)
    if ((bits & bit) != 0) reasons.push_back(name);
  return reasons;
}

}  // namespace isochrone::executor::cuda
