// Which profile a GPU gets: its own, or that of the measured GPU nearest to it.

#include <filesystem>
#include <mutex>
#include <utility>

#include "costmodel/profile.h"

namespace isochrone::costmodel {

namespace {

// The measured GPU that stands in for one of its architecture without measurements.
std::string StandIn(const std::string& architecture) {
  if (architecture == "hopper") return "h100_sxm_80gb";
  if (architecture == "blackwell") return "b200_sxm_180gb";
  return "a100_sxm_80gb";
}

void MarkAsStandIn(Source& source, const std::string& from, const std::string& gpu) {
  source.text = "no measurement of " + gpu + ": data sheet times the fractions of " + from + " (" + source.text + ")";
  source.measured = false;
}

}  // namespace

std::shared_ptr<const EfficiencyProfile> ProfileOf(const plan::Gpu& gpu) {
  static std::mutex mutex;
  static std::map<std::string, std::shared_ptr<const EfficiencyProfile>> read;
  const std::lock_guard lock(mutex);
  const std::string folder = plan::CatalogueFolder() + "/profiles/";
  std::shared_ptr<const EfficiencyProfile>& slot = read[folder + gpu.name];
  if (slot) return slot;
  const std::string own = folder + gpu.name + ".json";
  if (std::filesystem::exists(own)) return slot = std::make_shared<EfficiencyProfile>(ReadProfile(own));
  const std::string from = StandIn(gpu.architecture);
  EfficiencyProfile profile = ReadProfile(folder + from + ".json");
  for (auto& [dtype, curve] : profile.gemm) MarkAsStandIn(curve.source, from, gpu.name);
  MarkAsStandIn(profile.attention_forward.source, from, gpu.name);
  MarkAsStandIn(profile.attention_backward.source, from, gpu.name);
  MarkAsStandIn(profile.memory.source, from, gpu.name);
  return slot = std::make_shared<EfficiencyProfile>(std::move(profile));
}

}  // namespace isochrone::costmodel
