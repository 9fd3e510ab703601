#include "costmodel/framework.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/json.h"

namespace isochrone::costmodel {

namespace {

const std::vector<std::string> kNames = {
    "megatron_lm_2019", "megatron_lm_2021", "megatron_lm_2022", "megatron_core", "megatron_deepspeed", "fsdp", "other"};

void ReadConstants(const std::string& name, FrameworkProfile& profile) {
  const Json json = Json::File(plan::CatalogueFolder() + "/profiles/frameworks/" + name + ".json");
  json.Allow({"kernel_time", "tensor_communication", "launch_us", "step_ms", "spread", "spread_source", "fitted_rows",
              "source", "measured"});
  profile.kernel_time = json.At("kernel_time").Number(0.5, 4);
  profile.tensor_communication = json.At("tensor_communication").Number(0.5, 10);
  profile.launch = Seconds(json.At("launch_us").Number(0, 1e4) * 1e-6);
  profile.step = Seconds(json.At("step_ms").Number(0, 1e5) * 1e-3);
  profile.spread = json.At("spread").Number(0, 1);
  profile.source = {json.At("source").String(), json.At("measured").Bool()};
}

/// Of this very GPU where it is known, else of its architecture.
void ReadSustained(const plan::Gpu& gpu, FrameworkProfile& profile) {
  const std::string folder = plan::CatalogueFolder() + "/profiles/sustained/", own = folder + gpu.name + ".json";
  const Json json = Json::File(std::filesystem::exists(own) ? own : folder + gpu.architecture + ".json");
  json.Allow({"clock", "fitted_rows", "source", "measured"});
  profile.sustained_clock = json.At("clock").Number(0.3, 1);
  profile.sustained_source = {json.At("source").String(), json.At("measured").Bool()};
}

/// Each (framework, GPU) is read once a process.
FrameworkProfile Cached(const std::string& name, const plan::Gpu& gpu) {
  static std::mutex mutex;
  static std::map<std::pair<std::string, std::string>, FrameworkProfile> read;
  const std::lock_guard<std::mutex> lock(mutex);
  const auto [it, first] = read.try_emplace({name, gpu.name + "/" + gpu.architecture});
  if (first) {
    it->second.name = name;
    try {
      ReadConstants(name, it->second);
      ReadSustained(gpu, it->second);
    } catch (...) {
      read.erase(it);
      throw;
    }
  }
  return it->second;
}

}  // namespace

FrameworkProfile FrameworkOf(const std::string& framework, const plan::Gpu& gpu, bool compiled,
                             plan::Sharding sharding) {
  if (std::find(kNames.begin(), kNames.end(), framework) == kNames.end()) {
    const std::string near = Nearest(framework, kNames);
    throw Error("strategy/framework = \"" + framework + "\"", "is no known framework",
                near.empty() ? "try " + JoinedWith(kNames, "or") : "did you mean \"" + near + "\"?");
  }
  const bool own_engine = framework == "megatron_deepspeed" && sharding == plan::Sharding::kNone;
  FrameworkProfile profile = Cached(own_engine ? "megatron_lm_2021" : framework, gpu);
  // Eager FSDP of 2023 came with version 1 kernels in Triton; compiled FSDP calls the library's version 2.
  if (framework == "fsdp") profile.flash = compiled ? FlashGeneration::kFlash2 : FlashGeneration::kFlash1;
  if (gpu.architecture == "ampere" && profile.flash == FlashGeneration::kBest) profile.flash = FlashGeneration::kFlash2;
  return profile;
}

std::set<std::string> FittedRows() {
  std::set<std::string> ids;
  for (const char* folder : {"/profiles/frameworks", "/profiles/sustained"}) {
    for (const auto& entry : std::filesystem::directory_iterator(plan::CatalogueFolder() + folder)) {
      for (const Json& id : Json::File(entry.path().string()).At("fitted_rows").Items()) ids.insert(id.String());
    }
  }
  return ids;
}

EfficiencyProfile Sustained(EfficiencyProfile profile, double clock) {
  for (auto& [dtype, curve] : profile.gemm) curve.rate_over_peak *= clock, curve.l2 *= clock, curve.epilogue *= clock;
  for (AttentionCurve* curve : {&profile.attention_forward, &profile.attention_backward})
    curve->rate_over_peak_64 *= clock, curve->rate_over_peak_128 *= clock, curve->rate_over_peak_256 *= clock;
  return profile;
}

}  // namespace isochrone::costmodel
