#include "costmodel/framework.h"

#include <algorithm>
#include <vector>

#include "base/error.h"
#include "base/json.h"

namespace isochrone::costmodel {

FrameworkProfile FrameworkOf(const std::string& framework, const plan::Gpu& gpu, bool compiled) {
  static const std::vector<std::string> kNames = {"megatron_lm_2019",
                                                  "megatron_lm_2021",
                                                  "megatron_lm_2022",
                                                  "megatron_core",
                                                  "megatron_deepspeed",
                                                  "fsdp",
                                                  "other"};
  if (std::find(kNames.begin(), kNames.end(), framework) == kNames.end()) {
    const std::string near = Nearest(framework, kNames);
    throw Error("strategy/framework = \"" + framework + "\"", "is no known framework",
                near.empty() ? "try " + JoinedWith(kNames, "or") : "did you mean \"" + near + "\"?");
  }
  FrameworkProfile profile;
  profile.name = framework;
  profile.source = {"neutral: kernels as benchmarked", false};
  // Eager FSDP of 2023 came with version 1 kernels in Triton; compiled FSDP calls the library's version 2.
  if (framework == "fsdp") profile.flash = compiled ? FlashGeneration::kFlash2 : FlashGeneration::kFlash1;
  if (gpu.architecture == "ampere" && profile.flash == FlashGeneration::kBest) profile.flash = FlashGeneration::kFlash2;
  return profile;
}

EfficiencyProfile Sustained(EfficiencyProfile profile, double clock) {
  for (auto& [dtype, curve] : profile.gemm) curve.rate_over_peak *= clock, curve.l2 *= clock, curve.epilogue *= clock;
  for (AttentionCurve* curve : {&profile.attention_forward, &profile.attention_backward})
    curve->rate_over_peak_64 *= clock, curve->rate_over_peak_128 *= clock, curve->rate_over_peak_256 *= clock;
  return profile;
}

}  // namespace isochrone::costmodel
