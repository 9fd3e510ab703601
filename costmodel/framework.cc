#include "costmodel/framework.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "base/text.h"
#include "plan/scenario_names.h"

namespace isochrone::costmodel {

namespace {

constexpr std::size_t kMostConstants = 4;

/// To four significant digits.
double Rounded(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4g", value);
  return std::strtod(text, nullptr);
}

void ReadConstants(const std::string& name, FrameworkProfile& profile) {
  const Json json = Json::File(plan::CatalogueFolder() + "/profiles/frameworks/" + name + ".json");
  std::vector<std::string> known = {"spread",      "expert_spread", "unfused_spread", "spread_source",
                                    "fitted_rows", "source",        "measured"};
  std::size_t stated = 0;
  for (const FrameworkConstant& constant : FrameworkConstants()) {
    known.push_back(constant.name);
    if (!json.Has(constant.name)) continue;
    constant.set(profile, json.At(constant.name).Number(constant.least, constant.most));
    ++stated;
  }
  json.Allow(known);
  if (stated > kMostConstants) json.Fail("states more than four constants", "leave out what is neutral");
  profile.spread = json.At("spread").Number(0, 1);
  const auto of = [&](const char* key) { return json.Has(key) ? json.At(key).Number(0, 1) : profile.spread; };
  profile.expert_spread = of("expert_spread");
  profile.unfused_spread = of("unfused_spread");
  profile.spread_source = json.At("spread_source").String();
  for (const Json& id : json.At("fitted_rows").Items()) profile.fitted_rows.push_back(id.String());
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
  const std::vector<std::string>& names = plan::FrameworkNames();
  if (std::find(names.begin(), names.end(), framework) == names.end()) {
    const std::string near = Nearest(framework, names);
    throw Error("strategy/framework = \"" + framework + "\"", "is no known framework",
                near.empty() ? "try " + JoinedWith(names, "or") : "did you mean \"" + near + "\"?");
  }
  const bool own_engine = framework == "megatron_deepspeed" && sharding == plan::Sharding::kNone;
  FrameworkProfile profile = Cached(own_engine ? "megatron_lm_2021" : framework, gpu);
  // Eager FSDP of 2023 came with version 1 kernels in Triton; since, PyTorch's own call is the library's version 2.
  if (framework == "fsdp") profile.flash = compiled ? FlashGeneration::kFlash2 : FlashGeneration::kFlash1;
  if (framework == "fsdp2") profile.flash = FlashGeneration::kFlash2;
  if (gpu.architecture == "ampere" && profile.flash == FlashGeneration::kBest) profile.flash = FlashGeneration::kFlash2;
  return profile;
}

bool RunsMegatronLayers(const plan::Strategy& s) {
  const bool engine = s.framework == "megatron_core" && s.attention == plan::AttentionForm::kFlash;
  return s.framework.starts_with("megatron") && !engine;
}

const std::vector<FrameworkConstant>& FrameworkConstants() {
  using P = FrameworkProfile;
  static const std::vector<FrameworkConstant> constants = {
      {"kernel_time", 1, 0.5, 4, [](const P& p) { return p.kernel_time; }, [](P& p, double v) { p.kernel_time = v; }},
      {"tensor_communication", 1, 0.5, 10, [](const P& p) { return p.tensor_communication; },
       [](P& p, double v) { p.tensor_communication = v; }},
      {"attention_time", 1, 0.2, 5, [](const P& p) { return p.attention_time; },
       [](P& p, double v) { p.attention_time = v; }},
      {"launch_us", 0, 0, 1e4, [](const P& p) { return p.launch.value * 1e6; },
       [](P& p, double v) { p.launch = Seconds(v * 1e-6); }},
      {"gather_rank_us", 0, 0, 1e3, [](const P& p) { return p.gather_rank.value * 1e6; },
       [](P& p, double v) { p.gather_rank = Seconds(v * 1e-6); }},
      {"message_us", 0, 0, 1e4, [](const P& p) { return p.message.value * 1e6; },
       [](P& p, double v) { p.message = Seconds(v * 1e-6); }},
      {"batch_us", 0, 0, 1e4, [](const P& p) { return p.batch.value * 1e6; },
       [](P& p, double v) { p.batch = Seconds(v * 1e-6); }},
      {"step_ms", 0, 0, 1e5, [](const P& p) { return p.step.value * 1e3; },
       [](P& p, double v) { p.step = Seconds(v * 1e-3); }}};
  return constants;
}

std::string Print(const FrameworkProfile& profile) {
  nlohmann::ordered_json json;
  for (const FrameworkConstant& constant : FrameworkConstants()) {
    const double value = constant.get(profile);
    if (value != constant.neutral) json[constant.name] = Rounded(value);
  }
  json["source"] = profile.source.text;
  json["measured"] = profile.source.measured;
  json["spread"] = Rounded(profile.spread);
  if (profile.expert_spread != profile.spread) json["expert_spread"] = Rounded(profile.expert_spread);
  if (profile.unfused_spread != profile.spread) json["unfused_spread"] = Rounded(profile.unfused_spread);
  json["spread_source"] = profile.spread_source;
  json["fitted_rows"] = profile.fitted_rows;
  return json.dump(2) + "\n";
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
